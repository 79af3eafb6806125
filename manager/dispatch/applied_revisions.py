"""Tells the other managers how far the hosts with a session here have come, when somebody waits to hear it.

Fed by: dispatcher (the sessions' heartbeats and their own progress). Read through the store by connection_draining.py
of every manager. One key per manager, written only while a task waits to be stopped.
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
"""Seconds in which hosts' confirmations are gathered into one write."""

log = structlog.get_logger(__name__)


class AppliedRevisions:
    """This manager's key. `in_force` says of each host with a session here by which revision it directs its traffic."""

    def __init__(
        self, store: Store, manager_id: str, in_force: Callable[[], Mapping[str, int]], rng: random.Random
    ) -> None:
        self._store = store
        self._manager_id = manager_id
        self._in_force = in_force
        self._rng = rng
        self._news = asyncio.Event()

    def look(self) -> None:
        """A host has come further, or somebody may have begun to wait."""
        self._news.set()

    async def run(self) -> None:
        """Write what is due, for ever."""
        delays = backoff(self._rng)
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER)
            self._news.clear()
            revision = revision_to_publish(self._store.state, self._manager_id, self._in_force())
            if revision is None:
                continue
            try:
                await self._store.commit([Put(APPLIED_REVISION, self._manager_id, AppliedRevision(revision))])
                delays = backoff(self._rng)
            except Unavailable as error:
                log.warning("tasks that are to stop wait for the store", reason=str(error))
                await asyncio.sleep(next(delays))
                self._news.set()
