"""Connections of this host that no longer follow its rules; they are deleted from conntrack once the rules are loaded.

These are UDP flows through changed frontends, connections to endpoints that are gone, and TCP connections that a
backend did not answer before it left: the client's next SYN then meets another backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

import structlog

from overlay.interface import NetworkFailure
from overlay.kernel.conntrack import Conntrack
from overlay.plan import datagram_routes
from overlay.plan.datagram_routes import Frontend, Frontends
from overlay.plan.host_state import HostState
from overlay.plan.network_snapshot import lasting_addresses, ready_addresses

log = structlog.get_logger(__name__)

ANSWER_WITHIN = 0.1
"""Seconds in which a backend that takes no new connections may still answer those already sent to it."""


class StaleConnections:
    """What may be stale, until it has been deleted. `connect` and `forget` are blocking: for one worker thread."""

    def __init__(self) -> None:
        self._conntrack: Conntrack | None = None
        self._changed: set[Frontend] = set()
        self._gone: set[str] = set()
        self._left: set[str] = set()
        self._backends_left = asyncio.Event()

    def connect(self) -> None:
        """Open the socket. Idempotent."""
        self._conntrack = self._conntrack or Conntrack()

    def close(self) -> None:
        """Close the socket."""
        if self._conntrack:
            self._conntrack.close()
            self._conntrack = None

    def add_addresses(self, gone: Iterable[str]) -> None:
        """Note addresses that may soon belong to another container."""
        self._gone.update(gone)

    def add_changes(self, before: HostState, after: HostState) -> None:
        """Note what may have become stale between two states."""
        old, new = before.differing(after), after.differing(before)
        self._gone |= lasting_addresses(old) - lasting_addresses(new)
        self._changed.update(datagram_routes.to_check(before.frontends, after.frontends))
        if left := ready_addresses(old) - ready_addresses(new):
            self._left |= left
            self._backends_left.set()

    def forget(self, frontends: Frontends) -> None:
        """Delete the stale connections, once the rules for `frontends` are loaded. After an error they stay noted."""
        assert self._conntrack is not None
        if not self._gone and not self._changed:
            return
        gone, changed = frozenset(self._gone), frozenset(self._changed)
        try:
            self._conntrack.forget(frontends, changed, gone)
        except (NetworkFailure, OSError) as error:
            log.warning("old connections not forgotten, trying again with the next change", error=str(error))
            return
        # what was noted meanwhile stays
        self._gone -= gone
        self._changed -= changed

    async def forget_unanswered(
        self, ready: Callable[[], frozenset[str]], run: Callable[[Callable[[], int]], Awaitable[int]]
    ) -> NoReturn:
        """Delete unanswered TCP connections to backends that have left; never returns.

        `ready`: the addresses that take connections now; `run`: runs blocking work in the worker thread.
        """
        while True:
            await self._backends_left.wait()
            self._backends_left.clear()
            left, self._left = frozenset(self._left), set()
            await asyncio.sleep(ANSWER_WITHIN)
            gone = left - ready()
            if gone and (conntrack := self._conntrack) is not None:
                await run(lambda: conntrack.forget_unanswered(gone))  # noqa: B023 - it is awaited here
