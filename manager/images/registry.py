"""Registry client: the manifest of an image in its registry, requested with skopeo."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from api.errors import NotFound
from api.image_reference import Reference
from api.registry_auth import Login, auth_json
from kit import process

TIME_LIMIT = 4.0
"""Seconds until a registry must have answered; a user waits for it."""
_INDEX = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest, or index of manifests, of a reference."""

    digest: str
    media_type: str
    size: int
    platforms: tuple[tuple[str, str, str], ...]
    """(architecture, os, variant) of each image behind it."""


async def ask_registry(reference: Reference, login: Login | None) -> Manifest:
    """The manifest that the registry has for the reference now. Raises NotFound with the registry's reason."""
    with _auth_file(reference.domain, login) as options:
        try:
            raw = await _skopeo(reference, "--raw", *options)
            manifest = _decode(raw)
            platforms = _platforms(manifest)
            if not platforms:
                config = _decode(await _skopeo(reference, "--config", *options))
                platforms = ((config.get("architecture", ""), config.get("os", ""), config.get("variant", "")),)
        except (TimeoutError, OSError, msgspec.DecodeError) as error:
            reason = f"no answer in {TIME_LIMIT:g} s" if isinstance(error, TimeoutError) else str(error)
            raise NotFound(f"{reference.familiar}: registry {reference.domain}: {reason}") from None
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    return Manifest(
        digest, manifest.get("mediaType", "application/vnd.oci.image.manifest.v1+json"), len(raw), platforms
    )


async def _skopeo(reference: Reference, *options: str) -> bytes:
    # skopeo takes a tag or a digest, not both
    where = f"docker://{reference.canonical}"
    tls = ("--tls-verify=false",) if reference.is_loopback else ()
    result = await process.run("skopeo", "inspect", *options, *tls, where, timeout=TIME_LIMIT)
    if not result.ok:
        raise NotFound(f"{reference.familiar}: {_reason(result.complaint)}")
    return result.stdout


def _reason(complaint: str) -> str:
    """The message in skopeo's last line, which has the form: time="…" level=fatal msg="…"."""
    _, found, message = complaint.partition('msg="')
    return message.rstrip('"').replace('\\"', '"') if found else complaint


def _decode(raw: bytes) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])


def _platforms(manifest: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    if manifest.get("mediaType") not in _INDEX and "manifests" not in manifest:
        return ()
    found = (entry.get("platform") or {} for entry in manifest.get("manifests", ()))
    return tuple(
        (platform.get("architecture", ""), platform.get("os", ""), platform.get("variant", ""))
        for platform in found
        if platform.get("os") not in (None, "", "unknown")  # attestations have the platform unknown/unknown
    )


@contextmanager
def _auth_file(domain: str, login: Login | None) -> Iterator[tuple[str, ...]]:
    """Options that pass the credentials in a private file: every user of the host can read a command line."""
    if login is None:
        yield ()
        return
    with tempfile.TemporaryDirectory(prefix="argosy-auth-") as directory:
        path = os.path.join(directory, "auth.json")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(auth_json(login, domain))
        yield ("--authfile", path)
