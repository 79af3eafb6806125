"""What registries say of images, byte by byte: with it another host can check that an image is what a digest asks for.

`<root>/<hex>` is a manifest, or a list of manifests for several platforms, whose SHA-256 that is.
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
"""Of one manifest or config; registries take no more either."""
MOST_LAYERS = 512


class Platform(msgspec.Struct):
    """For which machines."""

    architecture: str = ""
    os: str = ""


class Described(msgspec.Struct):
    """A pointer to something else."""

    digest: str
    platform: Platform | None = None


class RootFs(msgspec.Struct):
    """The layers, uncompressed, the lowest first."""

    diff_ids: list[str] = []


class Document(msgspec.Struct):
    """A manifest, a list of them, or an image's config: what is there tells which it is."""

    manifests: list[Described] | None = None
    config: msgspec.Raw = msgspec.Raw(b"")
    rootfs: RootFs | None = None


def digest_of(data: bytes) -> str:
    """As everybody names it: "sha256:…"."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(data: bytes) -> Document:
    """Raises Invalid for what is no manifest and no config."""
    try:
        return msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Invalid(f"it is no manifest and no config of an image: {str(error)[:200]}") from None


def leads_to(document: Document, machine: str) -> list[str]:
    """The digests of what comes next: of a list, the manifests for that machine; of a manifest, its config.

    Raises Invalid when nothing does.
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
    """Those below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, data: bytes) -> None:
        """Have one."""
        if len(data) <= MOST_BYTES and not (path := self._path(digest_of(data))).exists():
            replace_file(path, data)

    def chain(self, digest: str, id: str) -> list[bytes]:
        """What leads from a digest to the image of that id, for all machines; [] when something of it is lacking."""
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
        """Forget all but these and what they list."""
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
