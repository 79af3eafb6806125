"""Access control for calls to this host: by the managers' list of nodes, not by certificate alone.

The list comes with the assignments and is stored with them, so a host without a manager uses the last one. A call is
checked when it begins, and again whenever the list changes while it runs.
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
"""Seconds to wait for a caller to appear in the list, or as a manager: the assignment may be on its way."""

Check = Callable[[Caller], None]


class Callers:
    """Checks callers against the cluster's nodes; `members` returns the nodes by id, as last assigned."""

    def __init__(self, members: Callable[[], Mapping[str, MemberAssignment]], patience: float = KNOWN_WITHIN) -> None:
        self._members = members
        self._patience = patience
        self._permits = Permits()
        self._changed = asyncio.Event()

    def recheck(self) -> None:
        """Check again after a change of the list: waiting calls may begin, calls that are no longer allowed end."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self._permits.recheck()

    def member(self, caller: Caller) -> None:
        """Raises Forbidden when the caller is no node of the cluster, Unavailable when this host has no list yet."""
        members = self._members()
        if not members:
            raise Unavailable("this host has not heard from a manager yet who belongs to the cluster; try again")
        if (known := members.get(caller.node_id)) is None:
            raise Forbidden(f"node {caller.node_id} is not part of this cluster")
        if known.key and known.key != caller.key:
            raise Forbidden(f"the certificate in the name of node {known.id} is for another key than it joined with")

    def manager(self, caller: Caller) -> None:
        """Raises Forbidden when the caller is no manager now, Unavailable when this host has no list yet."""
        if caller.role is not Role.MANAGER:
            raise Forbidden("only managers may do this; ask one of them")
        self.member(caller)
        if not self._members()[caller.node_id].manager:
            raise Forbidden(f"node {caller.node_id} is a manager no more")

    def is_manager(self, caller: Caller) -> bool:
        """Whether the caller is a manager now."""
        return _passes(self.manager, caller)

    async def admit(self, check: Check, caller: Caller) -> AbstractContextManager[None]:
        """A context for a call, which is ended when `check` (`member` or `manager`) no longer accepts the caller.

        Raises what `check` raises.
        """
        try:
            async with asyncio.timeout(self._patience):
                while not _passes(check, caller):
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self._permits.hold(partial(check, caller))


def _passes(check: Check, caller: Caller) -> bool:
    try:
        check(caller)
    except ArgosyError:
        return False
    return True
