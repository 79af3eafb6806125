"""Applied revisions: publishes up to which revision the hosts with a session here have applied network state.

The dispatcher provides it (from heartbeats); connection draining on every manager reads it from the store. There is one
key per manager, written only while a task waits to be stopped.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from api.errors import Unavailable
from api.objects.kinds import APPLIED_REVISION
from api.objects.observed import AppliedRevision
from kit.timing import backoff
from manager.assignments.connection_draining import revision_to_publish
from manager.store.interface import Put, Store

GATHER = 0.01
"""Seconds in which the progress of several hosts is gathered into one write."""

log = structlog.get_logger(__name__)


class AppliedRevisions:
    """This manager's key. `applied` returns, by host with a session here, the revision that its networks have
    applied."""

    def __init__(
        self, store: Store, manager_id: str, applied: Callable[[], Mapping[str, int]], rng: random.Random
    ) -> None:
        self._store = store
        self._manager_id = manager_id
        self._applied = applied
        self._rng = rng
        self._news = asyncio.Event()

    def check(self) -> None:
        """Check for something to publish: a host has applied more, or a task may have begun to wait."""
        self._news.set()

    async def run(self) -> None:
        """Publish what is due; never returns."""
        delays = backoff(self._rng)
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER)
            self._news.clear()
            revision = revision_to_publish(self._store.state, self._manager_id, self._applied())
            if revision is None:
                continue
            try:
                await self._store.commit([Put(APPLIED_REVISION, self._manager_id, AppliedRevision(revision))])
                delays = backoff(self._rng)
            except Unavailable as error:
                log.warning("tasks that are to stop wait for the store", reason=str(error))
                await asyncio.sleep(next(delays))
                self._news.set()
