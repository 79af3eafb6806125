from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from tests.agent.runtime.hosts import load, runtime_at


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="argosy-runtime-") as directory:
        yield Path(directory)


@pytest.fixture
async def runtime(root: Path) -> AsyncIterator[OciRuntime]:
    async with runtime_at(root) as runtime:
        yield runtime


@pytest.fixture
async def image(runtime: OciRuntime, root: Path) -> Image:
    return await load(runtime, root)
