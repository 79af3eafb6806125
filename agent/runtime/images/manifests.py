"""Manifests of images, stored byte by byte as registries sent them: other hosts verify an image's digest by them.

`<root>/<hex>` is a manifest, or a list of manifests for several platforms, with that SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from api.errors import Invalid
from api.service import placement
from kit.files import replace_file

MOST_BYTES = 4 << 20
"""Bytes of one manifest or config; registries have the same limit."""
MOST_LAYERS = 512


class Platform(msgspec.Struct):
    """The platform of a manifest in a list."""

    architecture: str = ""
    os: str = ""


class Described(msgspec.Struct):
    """A descriptor: the digest of another document or blob, with its platform."""

    digest: str
    platform: Platform | None = None


class RootFs(msgspec.Struct):
    """The diff_ids of the uncompressed layers, the lowest first."""

    diff_ids: list[str] = []


class Document(msgspec.Struct):
    """A manifest, a list of manifests, or an image's config, recognised by the fields it has."""

    manifests: list[Described] | None = None
    config: msgspec.Raw = msgspec.Raw(b"")
    rootfs: RootFs | None = None


def digest_of(data: bytes) -> str:
    """The digest of bytes: "sha256:…"."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(data: bytes) -> Document:
    """Parse a document. Raises Invalid if it is neither manifest nor config."""
    try:
        return msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Invalid(f"it is no manifest and no config of an image: {str(error)[:200]}") from None


def leads_to(document: Document, machine: str) -> list[str]:
    """The digests that a document refers to: a list to the manifests for that machine, a manifest to its config.

    Raises Invalid if there are none.
    """
    if document.manifests is not None:
        found = [one.digest for one in document.manifests if _fits(one.platform, machine)]
    else:
        try:
            found = [msgspec.json.decode(document.config, type=Described).digest]
        except msgspec.MsgspecError:
            found = []
    if not found:
        raise Invalid(f"it is a manifest that names no image for linux/{machine}")
    return found


def layers_of(document: Document) -> list[str]:
    """The digests of a config's layers, the lowest first. Raises Invalid."""
    found = document.rootfs.diff_ids if document.rootfs else []
    if len(found) > MOST_LAYERS:
        raise Invalid(f"its image has more than {MOST_LAYERS} layers")
    return found


def _fits(platform: Platform | None, machine: str) -> bool:
    return platform is None or placement.Platform(platform.architecture, platform.os).is_of("linux", machine)


class Manifests:
    """The manifests below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, data: bytes) -> None:
        """Store a manifest."""
        if len(data) <= MOST_BYTES and not (path := self._path(digest_of(data))).exists():
            replace_file(path, data)

    def chain(self, digest: str, id: str) -> list[bytes]:
        """The manifests from a digest to the image `id`; [] if one of them is not stored."""
        data = self._get(digest)
        if data is None:
            return []
        try:
            found = read(data)
            if found.manifests is None:
                return [data] if leads_to(found, "") == [id] else []
        except Invalid:
            return []
        for listed in found.manifests:
            if rest := self.chain(listed.digest, id) if listed.digest != digest else []:
                return [data, *rest]
        return []

    def prune(self, digests: Iterable[str]) -> None:
        """Delete all manifests except these and those that they list."""
        kept = set(self._with_listed(digests))
        for path in self._root.glob("*"):
            if f"sha256:{path.name}" not in kept:
                path.unlink(missing_ok=True)

    def _with_listed(self, digests: Iterable[str]) -> Iterator[str]:
        for digest in digests:
            yield digest
            data = self._get(digest)
            try:
                yield from (one.digest for one in (read(data).manifests or ()) if data) if data else ()
            except Invalid:
                continue

    def _get(self, digest: str) -> bytes | None:
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            return None
        return data if digest_of(data) == digest else None

    def _path(self, digest: str) -> Path:
        return self._root / digest.removeprefix("sha256:").replace("/", "_")
