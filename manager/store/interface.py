"""The store's interface: what planners, dispatcher and API know of it. etcd and its in-memory twin stand behind it.

One rule: `state` only ever moves forward, from the watch, in the order of the store's revisions; a commit returns
once `state` has it, so everybody reads their own writes.
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
"""Most changes that may have to be written together; every store writes at least so many in one transaction."""


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write a value. `expected` is the version (modification revision) it must have now; ABSENT or ANY."""

    kind: Kind[Any]
    id: str
    value: Value
    expected: int = ANY


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete a key, if it is at the expected version; nothing happens when it is not there and ANY was expected."""

    kind: Kind[Any]
    id: str
    expected: int = ANY


Change = Put | Delete


class Stale(Conflict):
    """A key was not at its expected version: nothing of the commit was written. Look again."""


class Fenced(Unavailable):
    """The writer no longer leads: nothing was written."""


class LeaseEnded(Unavailable):
    """The lease has run out, and its keys are gone: nothing was written."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of leadership: the election key and the revision it was made at."""

    key: str
    revision: int


class Lease(Protocol):
    """Keys that vanish when nobody refreshes them."""

    async def put(self, kind: Kind[Any], id: str, value: Value, expected: int = ANY) -> int:
        """Write a key that lives as long as the lease; returns its revision, once `state` has it.

        Raises Stale when the key is not at the expected version, LeaseEnded, or Unavailable.
        """
        ...

    async def refresh(self) -> None:
        """Start the lease's time anew. Raises LeaseEnded, or Unavailable when the store cannot be reached."""
        ...

    async def end(self) -> None:
        """Give up the lease and its keys at once."""
        ...


class Store(Protocol):
    """The cluster's state and the way to change it."""

    @property
    def state(self) -> State:
        """The local view; read-only for everybody but the store."""
        ...

    async def commit(self, changes: Sequence[Change], fence: Fence | None = None) -> int:
        """Write all changes or none; returns the revision, once `state` has it.

        A commit larger than one transaction is split (each part atomic); changes that belong together are
        adjacent and at most `GROUP` long. Raises Stale, Fenced, or Unavailable when the store cannot be reached.
        """
        ...

    async def lease(self, ttl: float) -> Lease:
        """A new lease of `ttl` seconds."""
        ...

    async def wait_newer(self, revision: int) -> None:
        """Until `state.revision` is greater."""
        ...

    def track(self) -> Dirty:
        """A new Dirty, with everything in it, that collects what changes from now on; `untrack` it when done."""
        ...

    def untrack(self, dirty: Dirty) -> None:
        """Stop collecting."""
        ...
