"""Images that mean harm, and a runtime that meets them."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agent.runtime.oci_runtime import OciRuntime
from tests.agent.runtime.hosts import chunks, output, plan, runtime_at
from tests.images import Layer, Link, Special, busybox_layer, docker_archive, image_config, layer_tar, sha256

T = TypeVar("T")
PATIENCE = 60.0


@dataclass(frozen=True)
class Victim:
    """A host that is given images."""

    runtime: OciRuntime
    root: Path

    async def have(self, layers: list[Layer], name: str = "evil:1", config: dict[str, Any] | None = None) -> None:
        """Load an image."""
        path = self.root / "image.tar"
        docker_archive(path, [name], layers, config)
        await self.runtime.image_store.load(chunks(path))

    async def run(self, *command: str, name: str = "evil:1", **spec: Any) -> tuple[int, str]:
        """Run a container of an image to its end: exit code and what it wrote."""
        image = self.runtime.image_store.get(name)
        return await alive(output(self.runtime, plan(image, "victim", *command, **spec)))


@asynccontextmanager
async def victim() -> AsyncIterator[Victim]:
    """A host of its own that leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="argosy-attack-") as directory:
        async with runtime_at(Path(directory)) as runtime:
            yield Victim(runtime, Path(directory))


def with_file(path: str, content: bytes | Link | Special | None) -> list[Layer]:
    """Busybox with something else in a place."""
    return [busybox_layer(), {path: content}]


async def alive(work: Awaitable[T]) -> T:
    """The result of the work, during which the event loop was never held up: it beats on, as heartbeats must."""
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.02)
            longest, last = max(longest, loop.time() - last), loop.time()

    beating = asyncio.ensure_future(beat())
    try:
        async with asyncio.timeout(PATIENCE):
            return await work
    finally:
        beating.cancel()
        assert longest < PATIENCE / 4, f"the event loop stood still for {longest:.1f} s"


# ── archives that lie ────────────────────────────────────────────────────────────────────────────────────────────


def archive(path: Path, files: dict[str, bytes]) -> Path:
    """A tar of these files."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def changed_layers(path: Path, seeming: list[Layer], real: list[Layer], name: str = "", **more: Any) -> str:
    """An OCI archive with the config of one image, and so its id, and the layers of another; that id.

    `more` goes into the config.
    """
    tars = [layer_tar(layer) for layer in real]
    config = json.dumps(json.loads(image_config([layer_tar(layer) for layer in seeming], {})) | more).encode()
    kind = "application/vnd.oci.image"
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", "digest": sha256(config), "size": len(config)},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar", "digest": sha256(t), "size": len(t)} for t in tars],
    }).encode()  # fmt: skip
    entry: dict[str, Any] = {
        "mediaType": f"{kind}.manifest.v1+json", "digest": sha256(manifest), "size": len(manifest),
    }  # fmt: skip
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
    }
    archive(path, files | {f"blobs/sha256/{sha256(blob)[7:]}": blob for blob in (manifest, config, *tars)})
    return sha256(config)


class FalsePeer:
    """A host that sends what it likes, whatever is asked for."""

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        self._path = path

    async def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        """See agent.runtime.images.peer_source.PeerSource."""
        self.asked.append(reference)
        async for chunk in chunks(self._path):
            yield chunk


def rename_layer(path: Path, layer: Layer, seeming: Layer) -> None:
    """Send a layer of an archive under the digest of another."""
    with tarfile.open(path) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    real, name = (f"blobs/sha256/{sha256(layer_tar(one))[7:]}" for one in (layer, seeming))
    archive(path, {name if key == real else key: data for key, data in files.items()})


def joined(path: Path, *parts: Path) -> None:
    """One docker-archive with the images of several."""
    files: dict[str, bytes] = {}
    entries: list[Any] = []
    for number, part in enumerate(parts):
        with tarfile.open(part) as tar:
            for entry in tar:
                data = tar.extractfile(entry).read()  # type: ignore[union-attr]
                if entry.name == "manifest.json":
                    entries += [
                        e | {"Config": f"{number}/{e['Config']}", "Layers": [f"{number}/{x}" for x in e["Layers"]]}
                        for e in json.loads(data)
                    ]
                else:
                    files[f"{number}/{entry.name}"] = data
                    files[f"blobs/sha256/{sha256(data)[7:]}"] = data
    archive(path, {**files, "manifest.json": json.dumps(entries).encode()})
