"""Two who remove one volume at the same moment."""

from __future__ import annotations

import asyncio

from agent.runtime.oci_runtime import OciRuntime
from api.errors import NotFound


async def test_a_volume_that_two_remove_at_once_is_gone_and_told_so(runtime: OciRuntime) -> None:
    for number in range(20):
        runtime.volumes.create(f"v{number}")
        (runtime.volumes.data(f"v{number}") / "file").write_text("x")
        results = await asyncio.gather(
            *(runtime.volumes.remove(f"v{number}") for _ in range(3)), return_exceptions=True
        )
        assert [result for result in results if result is not None and not isinstance(result, NotFound)] == []
    assert list(runtime.volumes.all()) == []
