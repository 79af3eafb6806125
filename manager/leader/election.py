"""The election of the leader: one key, created by the manager that finds none, bound to a lease. Works on any store.

A term ends by the manager's own clock before its lease can end by etcd's, so two managers never both believe that they
lead. Should a clock be wrong, the fence in every transaction still prevents the old leader from writing.
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
"""Unused fraction of the lease: a margin between our clock and the store's."""
RESIGN_TIMEOUT = 1.0
"""Most seconds that a stopping leader tries to give up its lease; after that the lease expires."""


class Election:
    """One manager's candidacy. `ttl` is the lease in seconds."""

    def __init__(self, store: Store, node_id: str, clock: Clock, ttl: float = LEADER_LEASE) -> None:
        self._store, self._node_id, self._clock, self._ttl = store, node_id, clock, ttl

    def leader_id(self) -> str:
        """Node id of the leader as known to this manager; "" if there is none."""
        leadership = self._store.state.table(LEADERSHIP).get(CURRENT_LEADER)
        return leadership.node_id if leadership else ""

    async def campaign(self) -> Term:
        """Wait until this manager leads. Returns its term."""
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
                    pass  # another manager was faster: the state will show it
                except Unavailable:
                    await asyncio.sleep(next(delays))
                    continue
            await self._store.wait_newer(seen)

    async def _depose_lost_leader(self) -> bool:
        """Delete the leader's key if its host is lost: etcd may have extended the lease when etcd's own leader died.

        If that leader is alive after all, its fence is now invalid. Returns False if the key could not be deleted.
        """
        state, leader = self._store.state, self.leader_id()
        if leader and leader != self._node_id and suspicion(state, leader) is Suspicion.LOST:
            version = state.version(LEADERSHIP, CURRENT_LEADER)
            log.info("the leader's host is lost; another manager is to lead", leader=leader)
            try:
                await self._store.commit([Delete(LEADERSHIP, CURRENT_LEADER, expected=version)])
            except Stale:
                pass  # another manager was faster
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
    """One term of leadership: its fence, and the renewal of its lease."""

    def __init__(self, store: Store, lease: Lease, fence: Fence, ttl: float, asked: float) -> None:
        self.fence = fence
        self._store, self._lease, self._ttl = store, lease, ttl
        self._renewed(asked)

    async def hold(self) -> None:
        """Refresh the lease until it is lost, or too close to its end to be relied on."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._until_replaced(), name="leadership watch")
            refresh = group.create_task(self._refresh(), name="leadership refresh")
            await asyncio.wait((watch, refresh), return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            refresh.cancel()
        log.info("this manager leads no more")

    async def resign(self) -> None:
        """Give up the lease, so that another manager leads at once. Does nothing if the store cannot be reached."""
        await _end(self._lease)

    def _renewed(self, asked: float) -> None:
        """Set the deadline of a renewed lease. Its time counts from our request (`asked`), which is the safe side."""
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
        pass  # it expires by itself
