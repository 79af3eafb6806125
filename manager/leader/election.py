"""Who leads: one key, made by whoever finds it absent, bound to a lease; the same over etcd and in memory.

A term ends by our own clock before the lease can end by etcd's, so two managers never believe in themselves at the
same time; and should a clock lie, the fence in every transaction still keeps the old leader from writing.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from api.defaults import LEADER_LEASE
from api.errors import Unavailable
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP
from api.objects.observed import Leadership
from kit.timing import Clock, backoff
from manager.hosts.suspicion import Suspicion, suspicion
from manager.store.interface import ABSENT, Delete, Fence, Lease, LeaseEnded, Stale, Store
from manager.store.keys import path_of

log = structlog.get_logger(__name__)
SAFETY = 0.1
"""Part of the lease that is not used, for the slack between our clock and the store's."""
RESIGN_TIMEOUT = 1.0
"""Seconds a leader that stops takes to say so; otherwise its lease runs out."""


class Election:
    """One manager's candidacy. `ttl` is the lease in seconds."""

    def __init__(self, store: Store, node_id: str, clock: Clock, ttl: float = LEADER_LEASE) -> None:
        self._store, self._node_id, self._clock, self._ttl = store, node_id, clock, ttl

    def leader_id(self) -> str:
        """Node id of the leader as far as is known here; "" when nobody leads."""
        leadership = self._store.state.table(LEADERSHIP).get(CURRENT_LEADER)
        return leadership.node_id if leadership else ""

    async def campaign(self) -> Term:
        """Wait until we lead, however long it takes."""
        delays = backoff(random.Random(), most=1.0)
        while True:
            seen = self._store.state.revision
            if not await self._depose_lost_leader():
                await asyncio.sleep(next(delays))
                continue
            if not self.leader_id():
                try:
                    return await self._stand()
                except Stale:
                    pass  # somebody was faster: the state is about to show it
                except Unavailable:
                    await asyncio.sleep(next(delays))
                    continue
            await self._store.wait_newer(seen)

    async def _depose_lost_leader(self) -> bool:
        """Make room when the leader's host is lost: etcd may have renewed the lease of who died with etcd's leader.

        Should that leader live all the same, its fence is void from now on. False when it could not be written.
        """
        state, leader = self._store.state, self.leader_id()
        if leader and leader != self._node_id and suspicion(state, leader) is Suspicion.LOST:
            version = state.version(LEADERSHIP, CURRENT_LEADER)
            log.info("the leader's host is lost; another manager is to lead", leader=leader)
            try:
                await self._store.commit([Delete(LEADERSHIP, CURRENT_LEADER, expected=version)])
            except Stale:
                pass  # somebody was faster
            except Unavailable:
                return False
        return True

    async def _stand(self) -> Term:
        asked = asyncio.get_running_loop().time()
        lease = await self._store.lease(self._ttl)
        try:
            leadership = Leadership(self._node_id, self._clock())
            revision = await lease.put(LEADERSHIP, CURRENT_LEADER, leadership, expected=ABSENT)
        except BaseException:
            await _end(lease)
            raise
        log.info("this manager leads", revision=revision)
        fence = Fence(path_of(LEADERSHIP, CURRENT_LEADER), revision)
        return Term(self._store, lease, fence, self._ttl, asked)


class Term:
    """A time of leadership: its fence, and the care for its lease."""

    def __init__(self, store: Store, lease: Lease, fence: Fence, ttl: float, asked: float) -> None:
        self.fence = fence
        self._store, self._lease, self._ttl = store, lease, ttl
        self._renewed(asked)

    async def hold(self) -> None:
        """Refresh the lease until it is lost, or so nearly that nobody may rely on it."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._until_replaced(), name="leadership watch")
            refresh = group.create_task(self._refresh(), name="leadership refresh")
            await asyncio.wait((watch, refresh), return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            refresh.cancel()
        log.info("this manager leads no more")

    async def resign(self) -> None:
        """Make room for another leader at once, if the store can be reached."""
        await _end(self._lease)

    def _renewed(self, asked: float) -> None:
        """The lease began anew, no sooner than we asked for it."""
        self._deadline = asked + self._ttl * (1 - SAFETY)

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        pause = self._ttl / 4
        while loop.time() < self._deadline:
            await asyncio.sleep(min(pause, self._deadline - loop.time()))
            asked = loop.time()
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._lease.refresh()
            except LeaseEnded:
                return
            except (Unavailable, TimeoutError):
                pause = self._ttl / 10
            else:
                self._renewed(asked)
                pause = self._ttl / 4

    async def _until_replaced(self) -> None:
        while (state := self._store.state).version(LEADERSHIP, CURRENT_LEADER) == self.fence.revision:
            await self._store.wait_newer(state.revision)


async def _end(lease: Lease) -> None:
    try:
        async with asyncio.timeout(RESIGN_TIMEOUT):
            await lease.end()
    except (Unavailable, TimeoutError):
        pass  # it runs out by itself
