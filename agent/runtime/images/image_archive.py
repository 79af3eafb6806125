"""Image archives: reading and writing them.

Read: `docker save` files and OCI layouts, also compressed. Written: one tar that is both (as by Docker ≥ 25). It has
the image's config unchanged, byte by byte: the image's id is its digest, so an image has the same id on all hosts.
(skopeo's conversion to OCI would drop Docker's fields, such as the health check.)
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.images.image_receiver import check_room
from agent.runtime.images.manifests import MOST_BYTES
from api.errors import Invalid
from api.image_reference import familiar
from kit.thread_pool import ThreadPool

CHUNK = 1 << 20
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

_COMPRESSIONS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
)


class _DockerEntry(msgspec.Struct, rename="pascal"):
    """An image in manifest.json."""

    repo_tags: list[str] | None = None


class _OciEntry(msgspec.Struct):
    """An image in index.json."""

    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    """index.json."""

    manifests: list[_OciEntry]


@dataclass(frozen=True, slots=True)
class Part:
    """An image in an archive: its source in skopeo's form, and its names as the archive has them."""

    source: str
    names: tuple[str, ...]


async def spool(stream: AsyncIterator[bytes], path: Path, workers: ThreadPool) -> None:
    """Write a stream to a file, decompressed. Raises Invalid for broken data, Unavailable if the disk is full."""
    head, inflate = b"", None
    with path.open("wb") as file:
        async for chunk in stream:
            if len(head) < 8:
                head += chunk
                if len(head) < 8:
                    continue
                chunk = head
                inflate = next((make() for magic, make in _COMPRESSIONS if head.startswith(magic)), None)
            await workers.run("writing the archive", _write, file, inflate, chunk)
        if len(head) < 8:
            raise Invalid("the archive is empty")


def parts(path: Path) -> list[Part]:
    """The images in an uncompressed archive. Raises Invalid if it is not an image archive."""
    try:
        with tarfile.open(path, "r:") as tar:
            names = {name.removeprefix("./") for name in tar.getnames()}
            if "manifest.json" in names:
                return _docker_parts(path, _member(tar, "manifest.json"))
            if "index.json" in names:
                return _oci_parts(path, _member(tar, "index.json"))
    except (
        tarfile.TarError,
        msgspec.MsgspecError,
        EOFError,
        OSError,
        RecursionError,
    ) as error:  # OSError: also symbolic links in a loop
        raise Invalid(f"the archive cannot be read: {error}") from None
    raise Invalid("the archive holds no image: it has neither a manifest.json (docker save) nor an index.json (OCI)")


@dataclass(frozen=True, slots=True)
class Export:
    """An image to write: its files in skopeo's `dir` form, its full names, and its manifests from registries."""

    directory: Path
    names: tuple[str, ...]
    manifests: tuple[bytes, ...] = ()


async def write(exports: Sequence[Export], workers: ThreadPool) -> AsyncIterator[bytes]:
    """The bytes of an archive of these images: the manifests first, then each image's config and layers."""
    documents, blobs = await workers.run("reading the image", _layout, exports)
    for name, data in documents.items():
        yield _header(name, len(data)) + data + _padding(len(data))
    for digest, blob in blobs.items():
        size = blob.stat().st_size
        yield _header(f"blobs/sha256/{digest}", size)
        with blob.open("rb") as file:
            while chunk := await workers.run("reading the image", file.read, CHUNK):
                yield chunk
        yield _padding(size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _layout(exports: Sequence[Export]) -> tuple[dict[str, bytes], dict[str, Path]]:
    """The small files (by path) and the blobs (by digest) of an archive."""
    index: list[dict[str, Any]] = []
    listing: list[dict[str, Any]] = []
    documents: dict[str, bytes] = {}
    blobs: dict[str, Path] = {}
    for export in exports:
        source = msgspec.json.decode((export.directory / "manifest.json").read_bytes())
        for digest in (source["config"]["digest"], *(layer["digest"] for layer in source["layers"])):
            blobs[digest.removeprefix("sha256:")] = export.directory / digest.removeprefix("sha256:")
        manifest = msgspec.json.encode(_manifest(source, export.directory))
        entry = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{_sha256(manifest)}", "size": len(manifest)}
        for document in (*export.manifests, manifest):
            documents[f"blobs/sha256/{_sha256(document)}"] = document
        index += [entry | {"annotations": {CONTAINERD_NAME: name, REF_NAME: name}} for name in export.names] or [entry]
        listing.append(_docker_entry(source, export.names))
    documents["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    documents["index.json"] = msgspec.json.encode({"schemaVersion": 2, "manifests": index})
    documents["manifest.json"] = msgspec.json.encode(listing)
    return documents, blobs


def _manifest(source: dict[str, Any], directory: Path) -> dict[str, Any]:
    layers = [
        {"mediaType": _layer_type(directory / d.removeprefix("sha256:")), "digest": d, "size": layer["size"]}
        for layer in source["layers"]
        for d in [layer["digest"]]
    ]
    config = {"mediaType": OCI_CONFIG, "digest": source["config"]["digest"], "size": source["config"]["size"]}
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}


def _docker_entry(source: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    def path(digest: str) -> str:
        return "blobs/sha256/" + digest.removeprefix("sha256:")

    layers = [path(layer["digest"]) for layer in source["layers"]]
    return {"Config": path(source["config"]["digest"]), "RepoTags": [familiar(n) for n in names], "Layers": layers}


def _layer_type(blob: Path) -> str:
    with blob.open("rb") as file:
        head = file.read(4)
    suffix = "+gzip" if head[:2] == b"\x1f\x8b" else "+zstd" if head == b"\x28\xb5\x2f\xfd" else ""
    return OCI_LAYER + suffix


def _docker_parts(path: Path, data: bytes) -> list[Part]:
    entries = msgspec.json.decode(data, type=list[_DockerEntry])
    return [Part(f"docker-archive:{path}:@{n}", tuple(entry.repo_tags or ())) for n, entry in enumerate(entries)]


def _oci_parts(path: Path, data: bytes) -> list[Part]:
    found = []
    entries = msgspec.json.decode(data, type=_Index).manifests
    for entry in entries:
        marks = entry.annotations or {}
        inner = marks.get(REF_NAME, "")
        if not inner and len(entries) > 1:
            raise Invalid("the OCI archive holds several images, and not all have a name to tell them apart")
        name = marks.get(CONTAINERD_NAME, inner)
        source = f"oci-archive:{path}:{inner}" if inner else f"oci-archive:{path}"
        found.append(Part(source, (name,) if name else ()))
    return found


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    for spelled in (name, f"./{name}"):
        try:
            file = tar.extractfile(spelled)
        except KeyError:
            continue
        if file:
            data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise Invalid(f"{name} in the archive is larger than {MOST_BYTES} bytes")
            return data
    raise Invalid(f"{name} in the archive is no file")


def _write(file: Any, inflate: Any, chunk: bytes) -> None:
    try:
        for piece in _inflated(inflate, chunk) if inflate else (chunk,):
            check_room(file.fileno())
            file.write(piece)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Invalid(f"the archive's compression is broken: {error}") from None


def _inflated(inflate: Any, chunk: bytes) -> Iterator[bytes]:
    """Decompress in pieces of at most CHUNK bytes: a few compressed bytes can expand to gigabytes."""
    while piece := inflate.decompress(chunk, CHUNK):
        yield piece
        chunk = getattr(inflate, "unconsumed_tail", b"")


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
