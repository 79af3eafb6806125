"""The image receiver: takes an image by digest from a sender that is not trusted, verifying each blob.

The requested digest is that of a list of manifests, a manifest, or a config. Each blob names the next ones: list →
manifest → config → layers (uncompressed, by their diff_ids). A blob that none has named is skipped; one with another
digest than its name ends the transfer. Image names in the archive are not read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.runtime.images.manifests import MOST_BYTES, Document, digest_of, layers_of, leads_to, read
from api.errors import Invalid, Unavailable
from kit.thread_pool import ThreadPool

KEEP_FREE = 256 << 20
"""Bytes of the disk that stay free."""
MOST_SKIPPED = 16 << 20
"""Bytes of an archive that may be skipped; beyond that the transfer ends."""
_BLOBS = "blobs/sha256/"
_BLOCK = tarfile.BLOCKSIZE
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(slots=True)
class Received:
    """A received image, as files in a directory that skopeo reads (`dir:`)."""

    id: str = ""
    """The digest of the image's config."""
    layers: list[str] = field(default_factory=list)
    """Digests of the uncompressed layers, the lowest first."""
    manifests: list[bytes] = field(default_factory=list)
    """The manifests between the requested digest and the config."""
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all blobs have been received."""
        return bool(self.id) and all(layer in self.sizes for layer in self.layers)


async def receive(
    stream: AsyncIterator[bytes], wanted: str, machine: str, directory: Path, workers: ThreadPool
) -> Received:
    """Receive the image with a digest from a tar of `blobs/sha256/<digest>` into a directory.

    Raises Invalid when something else is sent, and Unavailable when the disk is full.
    """
    source, received, expected, skipped = _Source(stream), Received(), {wanted}, 0
    while not received.complete and (entry := await source.entry()):
        name, size = entry
        digest = "sha256:" + name.removeprefix(_BLOBS) if name.startswith(_BLOBS) else ""
        if digest in received.layers and digest not in received.sizes:
            await _take_layer(source, digest, size, directory, workers)
            received.sizes[digest] = size
        elif digest in expected and not received.id:
            if size > MOST_BYTES:
                raise Invalid(f"it sent {size} bytes for a manifest")
            data = await source.all(size)
            if digest_of(data) != digest:
                raise Invalid(f"what it sent as {digest} is something else")
            expected |= _understood(data, digest, machine, received)
            if received.id:
                await workers.run("writing its config", _path(directory, digest).write_bytes, data)
                received.sizes[digest] = size
        else:
            if (skipped := skipped + size) > MOST_SKIPPED:
                raise Invalid("it sends what was not asked for")
            await source.skip(size)
    if not received.complete:
        raise Invalid("it did not send the whole image")
    (directory / "manifest.json").write_bytes(_manifest(received))
    return received


def _understood(data: bytes, digest: str, machine: str, received: Received) -> set[str]:
    """The digests that a verified blob names as the next ones."""
    document: Document = read(data)
    if document.rootfs is not None:
        received.id, received.layers = digest, layers_of(document)
        return set()
    received.manifests.append(data)
    return set(leads_to(document, machine))


def _manifest(received: Received) -> bytes:
    """A new manifest, made from verified blobs only."""

    def described(kind: str, digest: str) -> dict[str, object]:
        return {"mediaType": kind, "digest": digest, "size": received.sizes[digest]}

    return msgspec.json.encode({
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": described(_CONFIG, received.id),
        "layers": [described(_LAYER, layer) for layer in received.layers],
    })  # fmt: skip


async def _take_layer(source: _Source, digest: str, size: int, directory: Path, workers: ThreadPool) -> None:
    if size > await workers.run("looking for room", _room, directory):
        raise Unavailable(f"there is no room for a layer of {size} bytes")
    found = hashlib.sha256()
    with _path(directory, digest).open("wb") as file:

        def write(data: bytes) -> None:
            found.update(data)
            file.write(data)

        async for data in source.pieces(size):
            await workers.run("writing a layer", write, data)
    if f"sha256:{found.hexdigest()}" != digest:
        raise Invalid(f"what it sent as layer {digest} is something else")


def _path(directory: Path, digest: str) -> Path:
    return directory / digest.removeprefix("sha256:")


def _room(directory: Path) -> int:
    return max(shutil.disk_usage(directory).free - KEEP_FREE, 0)


def check_room(fd: int) -> None:
    """Raises Unavailable when the file's disk has no more than KEEP_FREE bytes left."""
    found = os.fstatvfs(fd)
    if found.f_bavail * found.f_frsize < KEEP_FREE:
        raise Unavailable(f"the disk is full: less than {KEEP_FREE >> 20} MiB are free")


class _Source:
    """A tar stream, read entry by entry."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._held = b""
        self._padding = 0

    async def entry(self) -> tuple[str, int] | None:
        """The next entry's name and size, None at the end. The caller must read or skip its bytes next."""
        await self.skip(self._padding)
        self._padding = 0
        header = await self.all(_BLOCK)
        if header == bytes(_BLOCK):
            return None
        try:
            found = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        except tarfile.TarError:
            raise Invalid("it sent no archive") from None
        if found.size < 0:
            raise Invalid("it sent no archive")
        self._padding = -found.size % _BLOCK
        return found.name, found.size

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """The next `size` bytes, in chunks as they arrive. Raises Invalid if the stream ends before."""
        while size:
            if not self._held:
                self._held = await anext(self._stream, b"")
                if not self._held:
                    raise Invalid("what it sends ends early")
            piece, self._held = self._held[:size], self._held[size:]
            size -= len(piece)
            yield piece

    async def all(self, size: int) -> bytes:
        """The next `size` bytes at once."""
        return b"".join([piece async for piece in self.pieces(size)])

    async def skip(self, size: int) -> None:
        """Skip the next `size` bytes."""
        async for _ in self.pieces(size):
            pass
