"""Who may ask this host for something: by what the managers tell of the cluster's nodes, not by certificate alone.

The list comes with the assignments and is kept with them, so a host that cannot reach a manager goes by the last one it
had. Looked up for every call, and again whenever the list changes, for as long as a call is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial

from api.errors import ArgosyError, Forbidden, Unavailable
from api.states import Role
from api.wire.assignments import MemberAssignment
from api.wire.rpc import Caller
from kit.permits import Permits

KNOWN_WITHIN = 1.5
"""Seconds a caller may be unknown, or not known as a manager, here: the news of it may be on its way."""

Check = Callable[[Caller], None]


class Callers:
    """The cluster's nodes as this host was last told of them; `members` gives them, by id."""

    def __init__(self, members: Callable[[], Mapping[str, MemberAssignment]], patience: float = KNOWN_WITHIN) -> None:
        self._members = members
        self._patience = patience
        self._permits = Permits()
        self._moved = asyncio.Event()

    def look(self) -> None:
        """The list has changed: who waits to be known is looked up again, and who is no longer is ended."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._permits.recheck()

    def member(self, caller: Caller) -> None:
        """Raises Forbidden when the caller is no node of the cluster, Unavailable when this host knows of none yet."""
        members = self._members()
        if not members:
            raise Unavailable("this host has not heard from a manager yet who belongs to the cluster; try again")
        if (known := members.get(caller.node_id)) is None:
            raise Forbidden(f"node {caller.node_id} is not part of this cluster")
        if known.key and known.key != caller.key:
            raise Forbidden(f"the certificate in the name of node {known.id} is for another key than it joined with")

    def manager(self, caller: Caller) -> None:
        """Raises Forbidden when the caller is no manager now, Unavailable as above."""
        if caller.role is not Role.MANAGER:
            raise Forbidden("only managers may do this; ask one of them")
        self.member(caller)
        if not self._members()[caller.node_id].manager:
            raise Forbidden(f"node {caller.node_id} is a manager no more")

    def is_manager(self, caller: Caller) -> bool:
        """Whether the caller may do what only managers may."""
        return _passes(self.manager, caller)

    async def admit(self, check: Check, caller: Caller) -> AbstractContextManager[None]:
        """For work that a caller may have done as long as `check` (`member` or `manager`) does not raise."""
        try:
            async with asyncio.timeout(self._patience):
                while not _passes(check, caller):
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self._permits.hold(partial(check, caller))


def _passes(check: Check, caller: Caller) -> bool:
    try:
        check(caller)
    except ArgosyError:
        return False
    return True
