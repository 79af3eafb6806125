"""Image references: how people write them, and the one full form in which they are compared and stored.

`demo` is `docker.io/library/demo:latest`; `shop/web:2` is `docker.io/shop/web:2`; `host:5000/x` names a registry.
Grammar: the distribution project's `reference` package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from api.errors import Invalid

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LIBRARY = "library/"
_LEGACY = {"index.docker.io": DEFAULT_DOMAIN, "registry-1.docker.io": DEFAULT_DOMAIN}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z][a-z0-9]*(?:[+._-][a-z][a-z0-9]*)*:[0-9a-fA-F]{32,}")
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference, in full: domain and path are never empty; tag and digest may be."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Without tag and digest: "docker.io/library/demo"."""
        return f"{self.domain}/{self.path}"

    @property
    def canonical(self) -> str:
        """What names one image and not what a tag says today; the tagged form when there is no digest."""
        return f"{self.name}@{self.digest}" if self.digest else str(self)

    @property
    def familiar_name(self) -> str:
        """The name as Docker prints it: "demo"."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        rest = self.path.removeprefix(_LIBRARY)
        return self.path if "/" in rest else rest

    @property
    def familiar(self) -> str:
        """All of it as Docker prints it: "demo:1"."""
        return self.familiar_name + str(self).removeprefix(self.name)

    @property
    def is_loopback(self) -> bool:
        """Whether its registry is on this host; plain HTTP is then allowed, as Docker does."""
        host = self.domain.rsplit(":", 1)[0] if not self.domain.endswith("]") else self.domain
        return host == "localhost" or host == "[::1]" or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", host))


def parse(text: str) -> Reference:
    """A reference as a user writes it; without tag and digest it gets the tag `latest`. Raises Invalid."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad(text, f"{digest!r} is not a digest")
    name, tag = _split_tag(rest)
    if ":" in rest[len(name) :] and not _TAG.fullmatch(tag):
        raise _bad(text, f"{tag!r} is not a tag")
    domain, path = _split_domain(name)
    if path != path.lower():
        raise _bad(text, "the repository name must be lowercase")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path) or len(domain) + len(path) > 254:
        raise _bad(text, "it is not of the form [HOST[:PORT]/]NAME[:TAG][@DIGEST]")
    if not digest and _ID.fullmatch(text):
        raise _bad(text, "it is an image id, not a name")
    return Reference(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def normal(text: str) -> str:
    """The full form of a reference. Raises Invalid."""
    return str(parse(text))


def familiar(text: str) -> str:
    """The short form of a reference; what is none (an id, an empty string) is left as it is."""
    try:
        return parse(text).familiar
    except Invalid:
        return text


def image_id(text: str) -> str:
    """The "sha256:…" of a whole image id with or without its prefix; "" for anything else."""
    return f"sha256:{match[1]}" if (match := _ID.fullmatch(text)) else ""


def _split_tag(text: str) -> tuple[str, str]:
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (text, "")


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower())
    domain, path = (first, rest) if is_host else (DEFAULT_DOMAIN, name)
    domain = _LEGACY.get(domain, domain)
    return domain, _LIBRARY + path if domain == DEFAULT_DOMAIN and "/" not in path else path


def _bad(text: str, why: str) -> Invalid:
    return Invalid(f"invalid image reference {text!r}: {why}")
