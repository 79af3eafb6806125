"""The store in memory, for tests and simulations; it fulfils the same contract as the store in etcd.

A MemoryDatabase stands for etcd; each MemoryStore on it for the store of one manager. All timers are those of the event
loop, so that virtual time works for leases too. A cut store is that of a manager that cannot reach etcd.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.codec import Value
from api.errors import Unavailable
from api.objects.kinds import Kind
from kit.timing import Clock, wall_clock
from manager.store.batches import check_distinct
from manager.store.cache import Cache
from manager.store.interface import ANY, Change, Fence, Fenced, LeaseEnded, Put, Stale
from manager.store.keys import path_of
from manager.store.state import Event


@dataclass(slots=True)
class _Row:
    kind: Kind[Any]
    id: str
    value: Value
    version: int
    created: int
    lease: MemoryLease | None = None


@dataclass(eq=False)
class MemoryDatabase:
    """The rows and the revision, which all stores of one cluster share."""

    delay: Callable[[], float] = lambda: 0.0
    """Returns how many seconds a request takes; for simulations."""
    revision: int = 1
    rows: dict[str, _Row] = field(default_factory=dict)
    stores: list[MemoryStore] = field(default_factory=list)

    def transact(self, changes: Sequence[Change], fence: Fence | None, lease: MemoryLease | None = None) -> int:
        """Write all changes or none, and deliver them to every connected store. Raises Stale or Fenced."""
        if fence is not None and self._created(fence.key) != fence.revision:
            raise Fenced("this manager no longer leads the cluster")
        for change in changes:
            if change.expected != ANY and change.expected != self._version(path_of(change.kind, change.id)):
                raise Stale(f"{change.kind.name}/{change.id} has changed since it was read")
        return self._write(changes, lease)

    def events(self) -> list[Event]:
        """All rows, as events."""
        return [Event(row.kind, row.id, row.value, row.version) for row in self.rows.values()]

    def _version(self, path: str) -> int:
        return self.rows[path].version if path in self.rows else 0

    def _created(self, path: str) -> int:
        return self.rows[path].created if path in self.rows else 0

    def _write(self, changes: Sequence[Change], lease: MemoryLease | None) -> int:
        revision, events = self.revision + 1, []
        for change in changes:
            path = path_of(change.kind, change.id)
            if isinstance(change, Put):
                before = self.rows.get(path)
                created = before.created if before else revision
                self.rows[path] = _Row(change.kind, change.id, change.value, revision, created, lease)
                events.append(Event(change.kind, change.id, change.value, revision))
            elif self.rows.pop(path, None):
                events.append(Event(change.kind, change.id, None, revision))
        if events:
            self.revision = revision
            for store in self.stores:
                store.deliver(events, revision)
        return self.revision

    def expire(self, lease: MemoryLease) -> None:
        """Delete the keys of a lease that has ended."""
        revision = self.revision + 1
        gone = [(path, row) for path, row in self.rows.items() if row.lease is lease]
        for path, _ in gone:
            del self.rows[path]
        if gone:
            self.revision = revision
            events = [Event(row.kind, row.id, None, revision) for _, row in gone]
            for store in self.stores:
                store.deliver(events, revision)


class MemoryStore(Cache):
    """One manager's store. `clock` in Unix seconds; give several stores one `database` to make them a cluster."""

    def __init__(self, clock: Clock = wall_clock, database: MemoryDatabase | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._database = database or MemoryDatabase()
        self._database.stores.append(self)
        self._connected = True
        self.replace(self._database.events(), self._database.revision)

    async def commit(self, changes: Sequence[Change], fence: Fence | None = None) -> int:
        """Write all changes or none. Raises Stale, Fenced or Unavailable."""
        check_distinct(changes)
        await self.request()
        return self._database.transact(changes, fence)

    async def lease(self, ttl: float) -> MemoryLease:
        """A new lease of `ttl` seconds."""
        await self.request()
        return MemoryLease(self, self._database, self._clock, ttl)

    async def request(self) -> None:
        """Simulate a request: takes the configured time. Raises Unavailable when the store is cut."""
        await asyncio.sleep(self._database.delay())
        if not self._connected:
            raise Unavailable("the cluster's store cannot be reached")

    def cut(self) -> None:
        """Disconnect: requests fail, and the state does not advance."""
        self._connected = False

    def heal(self) -> None:
        """Reconnect, and catch up."""
        self._connected = True
        self.replace(self._database.events(), self._database.revision)

    def deliver(self, events: Sequence[Event], revision: int) -> None:
        """Receive events from the database, as from etcd's watch."""
        if self._connected:
            self.advance(events, revision)


class MemoryLease:
    """A lease: its keys are deleted `ttl` seconds after the last refresh."""

    def __init__(self, store: MemoryStore, database: MemoryDatabase, clock: Clock, ttl: float) -> None:
        self._store, self._database, self._clock, self._ttl = store, database, clock, ttl
        self._ended = False
        self._start()

    async def put(self, kind: Kind[Any], id: str, value: Value, expected: int = ANY) -> int:
        """Write a key that lives as long as the lease."""
        await self._request()
        return self._database.transact([Put(kind, id, value, expected)], None, self)

    async def refresh(self) -> None:
        """Restart the time. Raises LeaseEnded when the lease has expired."""
        await self._request()
        self._timer.cancel()
        self._start()

    async def end(self) -> None:
        """End the lease, and delete its keys."""
        await self._store.request()
        self._timer.cancel()
        self._expire()

    async def _request(self) -> None:
        await self._store.request()
        if self._ended or self._clock() >= self._deadline:  # a busy event loop may not have run the timer yet
            raise LeaseEnded("the lease has ended")

    def _start(self) -> None:
        self._deadline = self._clock() + self._ttl
        self._timer = asyncio.get_running_loop().call_later(self._ttl, self._expire)

    def _expire(self) -> None:
        if not self._ended:
            self._ended = True
            self._database.expire(self)
