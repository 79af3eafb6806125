"""The runtime's contract, on the real one and on the fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from tests.contracts.runtime_contract import IMAGE, RuntimeContract, Subject
from tests.fakes import FakeRuntime


@pytest.mark.root
class TestOciRuntime(RuntimeContract):
    @pytest.fixture
    def subject(self, runtime: OciRuntime, image: Image, root: Path) -> Subject:
        async def end(id: str, code: int) -> None:
            (root / "data/containers" / id / "rootfs/code.new").write_text(f"{code}\n")
            (root / "data/containers" / id / "rootfs/code.new").rename(root / "data/containers" / id / "rootfs/code")

        return Subject(runtime, end)


class TestFakeRuntime(RuntimeContract):
    @pytest.fixture
    def subject(self) -> Subject:
        runtime = FakeRuntime()
        runtime.add_image(IMAGE)

        async def end(id: str, code: int) -> None:
            runtime.end(id, code)

        return Subject(runtime, end)
