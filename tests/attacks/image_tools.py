"""Images that mean harm, and a runtime that meets them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agent.runtime.oci import OciRuntime
from tests.agent.runtime.hosts import chunks, output, plan, runtime_at
from tests.images import Layer, Link, Special, busybox_layer, docker_archive

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
