"""The store's interface, used by planners, dispatcher and API. Implemented in etcd and in memory.

Invariant: `state` only moves forward, by the watch, in the order of the store's revisions. A commit returns once
`state` has it, so that everybody reads their own writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from api.codec import Value
from api.errors import Conflict, Unavailable
from api.objects.kinds import Kind
from manager.store.state import Dirty, State

ANY = -1
ABSENT = 0
GROUP = 100
"""Most changes that belong together; every store can write at least as many in one transaction."""


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write a value. `expected`: the version (modification revision) that the key must have now, or ABSENT or ANY."""

    kind: Kind[Any]
    id: str
    value: Value
    expected: int = ANY


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete a key that has the expected version; nothing happens if ANY is expected and the key does not exist."""

    kind: Kind[Any]
    id: str
    expected: int = ANY


Change = Put | Delete


class Stale(Conflict):
    """A key did not have its expected version: nothing of the commit was written. Read again."""


class Fenced(Unavailable):
    """The writer is not the leader any more: nothing was written."""


class LeaseEnded(Unavailable):
    """The lease has expired and its keys were deleted: nothing was written."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of leadership: the election key and the revision at which it was created."""

    key: str
    revision: int


class Lease(Protocol):
    """A lease: its keys are deleted when it is not refreshed in time."""

    async def put(self, kind: Kind[Any], id: str, value: Value, expected: int = ANY) -> int:
        """Write a key that lives as long as the lease; returns its revision, once `state` has it.

        Raises Stale when the key is not at the expected version, LeaseEnded, or Unavailable.
        """
        ...

    async def refresh(self) -> None:
        """Restart the lease's time. Raises LeaseEnded, or Unavailable when the store cannot be reached."""
        ...

    async def end(self) -> None:
        """End the lease and delete its keys at once."""
        ...


class Store(Protocol):
    """The cluster's state and the way to change it."""

    @property
    def state(self) -> State:
        """The local copy of the state; only the store changes it."""
        ...

    async def commit(self, changes: Sequence[Change], fence: Fence | None = None) -> int:
        """Write all changes or none; returns the revision, once `state` has it.

        A commit larger than one transaction is split, each part being atomic; so changes that belong together must be
        adjacent, and at most `GROUP`. Raises Stale, Fenced, or Unavailable when the store cannot be reached.
        """
        ...

    async def lease(self, ttl: float) -> Lease:
        """A new lease of `ttl` seconds."""
        ...

    async def wait_newer(self, revision: int) -> None:
        """Wait until `state.revision` is greater than `revision`."""
        ...

    def track(self) -> Dirty:
        """A new Dirty that contains everything, and collects all further changes until `untrack`."""
        ...

    def untrack(self, dirty: Dirty) -> None:
        """Stop collecting changes in `dirty`."""
        ...
