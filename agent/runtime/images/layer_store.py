"""The layer store: images on disk in a `containers/storage` root, written by skopeo and read directly.

skopeo does transports, compression, confinement, sharing of layers and locking between processes. It runs in a mount
namespace of its own, because the library leaves a bind mount of its directory behind. Its files are replaced
atomically, so reading them needs no lock. Names are not stored here but in reference_store.py: in the library each
image has a synthetic name, a number.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, get_args

import msgspec
import structlog

from agent.runtime.images import image_config
from api.errors import ArgosyError
from kit import process
from kit.thread_pool import ThreadPool

T = TypeVar("T")
_UNIQUE = "localhost/argosy:"
_LONGEST = 3600.0
"""Seconds that copying or deleting an image may take."""

log = structlog.get_logger(__name__)


class StorageFailure(ArgosyError):
    """skopeo failed; the message is the last line of its output."""


class StoredImage(msgspec.Struct):
    """A line of images.json."""

    id: str
    digest: str = ""
    layer: str = ""
    names: list[str] | None = None
    big_data_names: list[str] | None = msgspec.field(default=None, name="big-data-names")


class StoredLayer(msgspec.Struct, rename="kebab"):
    """A line of layers.json."""

    id: str
    parent: str = ""
    diff_size: int = 0
    diff_digest: str = ""
    """The digest of the uncompressed bytes."""
    flags: dict[str, object] = {}


class LayerStore:
    """The store below `root`; `run_root` has the files that need not survive a reboot."""

    def __init__(self, root: Path, run_root: Path, workers: ThreadPool, auth_file: Path | None = None) -> None:
        self._root = root
        self.workers = workers
        self._spec = f"[overlay@{root}+{run_root}]"
        self._auth_file = auth_file
        self._serial = 0

    async def take(self, source: str, *options: str) -> str:
        """Copy an image from `source` (in skopeo's form) into the store; returns its id, "sha256:…".

        Checks the layers against the image's config; skopeo checks them against the manifest only. Raises
        StorageFailure.
        """
        self._serial += 1
        name = f"{_UNIQUE}{os.getpid()}-{self._serial}"
        if self._auth_file:
            options = ("--src-authfile", str(self._auth_file), *options)
        await self._skopeo("copy", "-q", *options, source, f"containers-storage:{self._spec}{name}")
        id = await self.workers.run("reading the image store", self._id_of, name)
        if why := await self.workers.run("checking the image", self._fault, id):
            await self.delete(id)
            raise StorageFailure(why)
        return id

    async def give(self, id: str, directory: Path) -> None:
        """Write an image's manifest, config and uncompressed layers into a directory (skopeo's `dir` form)."""
        await self._skopeo("copy", "-q", f"containers-storage:{self._spec}@{_hex(id)}", f"dir:{directory}")

    async def delete(self, id: str) -> None:
        """Delete an image and the layers that no other image has."""
        await self._skopeo("delete", f"containers-storage:{self._spec}@{_hex(id)}")

    def images(self) -> dict[str, StoredImage]:
        """All complete images, by id ("sha256:…")."""
        return {f"sha256:{image.id}": image for image in self._read("overlay-images/images.json", list[StoredImage])}

    def layers(self) -> dict[str, StoredLayer]:
        """All complete layers, by id."""
        layers = self._read("overlay-layers/layers.json", list[StoredLayer])
        return {layer.id: layer for layer in layers if not layer.flags.get("incomplete")}

    def config(self, id: str) -> bytes:
        """An image's config. Raises FileNotFoundError."""
        return self._big_data(id, id).read_bytes()

    def manifests(self, id: str) -> list[bytes]:
        """The manifests that came with an image: its own from the registry, and the list it was in. Raises KeyError."""
        names = [name for name in self.images()[id].big_data_names or () if name.startswith("manifest")]
        return [self._big_data(id, name).read_bytes() for name in names]

    def lower(self, id: str) -> list[Path]:
        """The image's layer directories, the uppermost first, by their short links. Raises KeyError, OSError."""
        layers, layer = self.layers(), self.images()[id].layer
        paths = []
        while layer:
            paths.append(self.links / (self._root / "overlay" / layer / "link").read_text())
            layer = layers[layer].parent
        return paths

    @property
    def links(self) -> Path:
        """The directory of the short links to the layers' directories."""
        return self._root / "overlay" / "l"

    def layer_sizes(self, id: str) -> list[int]:
        """Bytes of each layer, the lowest first. Raises KeyError when the image is gone."""
        layers, layer = self.layers(), self.images()[id].layer
        sizes: list[int] = []
        while layer:
            sizes.insert(0, layers[layer].diff_size)
            layer = layers[layer].parent
        return sizes

    def size(self, image: StoredImage, layers: dict[str, StoredLayer]) -> int:
        """Total bytes of the image's layers."""
        total, layer = 0, image.layer
        while layer in layers:
            total += layers[layer].diff_size
            layer = layers[layer].parent
        return total

    def _fault(self, id: str) -> str:
        """Why the stored image does not match its id; "" if it does."""
        try:
            wanted = image_config.read(self.config(id)).rootfs.diff_ids
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            return f"the image's config cannot be read: {str(error)[:200]}"
        layers, layer = self.layers(), self.images()[id].layer
        found: list[str] = []
        while layer:
            found.insert(0, layers[layer].diff_digest)
            layer = layers[layer].parent
        return "" if found == wanted else "the image's layers are not those that its config names"

    def _big_data(self, id: str, name: str) -> Path:
        """The path of a named data file that the library stores with an image."""
        if ":" in name:
            name = "=" + base64.b64encode(name.encode()).decode()
        return self._root / "overlay-images" / _hex(id) / name

    def _id_of(self, name: str) -> str:
        for image in self._read("overlay-images/images.json", list[StoredImage]):
            if name in (image.names or []):
                return f"sha256:{image.id}"
        raise StorageFailure(f"the image store under {self._root} lost an image while it was written")

    def _read(self, name: str, kind: type[list[T]]) -> list[T]:
        try:
            data = (self._root / name).read_bytes()
        except FileNotFoundError:
            return []
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            return _readable(data, kind)
        except msgspec.DecodeError:
            log.error("the store's list cannot be read: its images count as not there", file=str(self._root / name))
            return []

    async def _skopeo(self, *arguments: str) -> None:
        private = ("unshare", "--mount", "--propagation", "private")
        try:
            result = await process.run(*private, "skopeo", "--insecure-policy", *arguments, timeout=_LONGEST)
        except TimeoutError:
            raise StorageFailure(f"no end within {_LONGEST:g} s") from None
        if not result.ok:
            raise StorageFailure(complaint(result.stderr.decode(errors="replace")))


def _readable(data: bytes, kind: type[list[T]]) -> list[T]:
    """The readable entries of a list; an entry of another form is skipped."""
    (item,) = get_args(kind)
    found: list[T] = []
    for raw in msgspec.json.decode(data, type=list[msgspec.Raw]):
        try:
            found.append(msgspec.json.decode(raw, type=item))
        except msgspec.ValidationError as error:
            log.error("an entry of the image store is not understood", problem=str(error))
    return found


def complaint(text: str) -> str:
    """The message in a log line of skopeo."""
    lines: Sequence[str] = text.strip().splitlines()
    last = lines[-1] if lines else "skopeo failed without a word"
    if 'msg="' not in last:
        return last
    return last.split('msg="', 1)[1].rsplit('"', 1)[0].replace('\\"', '"')


def _hex(id: str) -> str:
    return id.removeprefix("sha256:")
