"""The stream of lease refreshes, over a simulated connection."""

from __future__ import annotations

import asyncio
from typing import Any

from api.errors import Unavailable
from manager.etcd.leases import KeepAlives


class Breaking:
    """A connection and its only stream, which does not answer until it breaks."""

    ended = False

    def __init__(self) -> None:
        self.breaks = asyncio.Event()

    def stream(self, service: str, method: str) -> Any:
        return self

    async def read(self) -> Any:
        await self.breaks.wait()
        raise Unavailable("etcd has gone")

    async def write(self, request: Any) -> None:
        pass

    def cancel(self) -> None:
        pass


async def test_a_stream_that_breaks_as_the_store_is_closed_does_not_keep_it_open() -> None:
    connection = Breaking()
    keep_alives: Any = KeepAlives(connection)  # type: ignore[arg-type]
    work = asyncio.ensure_future(keep_alives.run())
    refresh = asyncio.ensure_future(keep_alives.refresh(1))
    for _ in range(10):
        await asyncio.sleep(0)
    connection.breaks.set()
    work.cancel()
    await asyncio.wait([work], timeout=5)
    assert work.cancelled()
    await asyncio.gather(refresh, return_exceptions=True)
