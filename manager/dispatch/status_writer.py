"""Status writer: stores what agents report in few commits; what arrives within 10 ms is written together.

It has no unbounded queue: a caller waits until its reports are stored, so that at most one report per session waits.
While the store cannot be reached it tries again, until the caller gives up.
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
"""Seconds in which reports are gathered into one commit."""

log = structlog.get_logger(__name__)


class StatusWriter:
    """Batches writes of observed keys across sessions; the newest value of a key wins."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self._store = store
        self._rng = rng
        self._waiting: dict[tuple[str, str], Put] = {}
        self._stored: asyncio.Future[None] | None = None
        self._arrived = asyncio.Event()

    async def write(self, puts: Iterable[Put]) -> None:
        """Store the puts. Returns once all of them, or newer values of the same keys, are in the store."""
        for put in puts:
            self._waiting[put.kind.name, put.id] = put
        if not self._waiting:
            return
        if self._stored is None:
            self._stored = asyncio.get_running_loop().create_future()
        self._arrived.set()
        await asyncio.shield(self._stored)

    async def run(self) -> None:
        """Write what arrives; never returns."""
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
