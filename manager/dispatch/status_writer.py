"""What agents report, written to the store in few commits: everything that arrives within some 10 ms goes together.

The writer keeps no queue of its own: a caller waits until its observations are stored, so there is never more waiting
than there are sessions. While the store cannot be reached it tries again, until the caller gives up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import structlog

from api.errors import Unavailable
from kit.timing import backoff
from manager.store.interface import Put, Store

GATHER = 0.01
"""Seconds in which observations are gathered into one commit."""

log = structlog.get_logger(__name__)


class StatusWriter:
    """Batches puts of observed keys, across sessions; the newest value of a key wins."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self._store = store
        self._rng = rng
        self._waiting: dict[tuple[str, str], Put] = {}
        self._stored: asyncio.Future[None] | None = None
        self._arrived = asyncio.Event()

    async def write(self, puts: Iterable[Put]) -> None:
        """Returns once all are in the store (or something newer of the same key is)."""
        for put in puts:
            self._waiting[put.kind.name, put.id] = put
        if not self._waiting:
            return
        if self._stored is None:
            self._stored = asyncio.get_running_loop().create_future()
        self._arrived.set()
        await asyncio.shield(self._stored)

    async def run(self) -> None:
        """Write what arrives, for ever."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(GATHER)
            self._arrived.clear()
            puts, self._waiting = list(self._waiting.values()), {}
            stored, self._stored = self._stored, None
            try:
                await self._commit(puts)
            finally:
                if stored is not None and not stored.done():
                    stored.set_result(None)

    async def _commit(self, puts: list[Put]) -> None:
        for delay in backoff(self._rng):
            try:
                await self._store.commit(puts)
                return
            except Unavailable as error:
                log.warning("observations wait for the store", count=len(puts), reason=str(error))
                await asyncio.sleep(delay)
