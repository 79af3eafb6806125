"""Held key: a key that exists as long as its lease is refreshed, and is written again after the lease has ended.

Used for the sessions of nodes and for the liveness of managers. Not for leadership: once lost, it has to be won again
in an election (manager/leader/election.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import structlog

from api.codec import Value
from api.errors import Unavailable
from api.objects.kinds import Kind
from kit.timing import backoff
from manager.store.interface import Lease, LeaseEnded, Store

log = structlog.get_logger(__name__)
OPEN_TIMEOUT = 0.6
"""Seconds for the first attempt to write the key; each further attempt gets as many more."""


class HeldKey:
    """One key. `value` is called for each write; `ttl` of the lease in seconds."""

    def __init__(
        self, store: Store, kind: Kind[Any], id: str, value: Callable[[], Value], ttl: float, rng: random.Random
    ) -> None:
        self._store, self._kind, self._id, self._value, self._ttl, self._rng = store, kind, id, value, ttl, rng
        self._lease: Lease | None = None

    async def open(self) -> Lease:
        """Write the key under a new lease; repeats until it succeeds."""
        for number, delay in enumerate(backoff(self._rng, most=1.0)):
            try:
                # etcd never answers requests that it got while its leader died
                async with asyncio.timeout(OPEN_TIMEOUT * (1 + number)):
                    lease = self._lease = await self._store.lease(self._ttl)
                    await lease.put(self._kind, self._id, self._value())
                return lease
            except (Unavailable, TimeoutError) as error:
                reason = str(error) or "it does not answer"
                log.warning("a key waits for the store", kind=self._kind.name, id=self._id, reason=reason)
                await asyncio.sleep(delay)
        raise AssertionError("a backoff has no end")

    async def refresh(self) -> bool:
        """Refresh the lease, or open a new one if it has ended. Returns False if the store is not reached."""
        lease = self._lease or await self.open()
        try:
            await lease.refresh()
        except LeaseEnded:
            log.warning("a lease had ended; its key is written anew", kind=self._kind.name, id=self._id)
            await self.open()
        except Unavailable as error:
            log.warning("a lease could not be refreshed", kind=self._kind.name, id=self._id, reason=str(error))
            return False
        return True

    async def put(self, value: Value) -> None:
        """Write a new value under the same lease. Raises LeaseEnded or Unavailable."""
        lease = self._lease or await self.open()
        await lease.put(self._kind, self._id, value)

    async def end(self) -> None:
        """Delete the key at once, if it was written. Raises Unavailable."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.end()
