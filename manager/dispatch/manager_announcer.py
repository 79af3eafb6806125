"""Manager announcer: sends the managers' addresses to hosts that have no session.

An agent connects to the manager addresses that it received last. If all of them have changed (the only manager got a
new address), it cannot find the managers; but they know its address, and call it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import NoReturn

import structlog

from api.errors import ArgosyError
from api.wire.host_messages import ManagersNotice
from manager.dispatch.dispatcher import session_info
from manager.hosts.host_client import HostClient
from manager.store.interface import Store
from manager.store.state import State

PAUSE = 1.5
"""Seconds between two rounds of calls."""
PATIENCE = 12
"""Calls without an answer after which a host is called only in every PATIENCE-th round."""
AT_ONCE = 16
"""Hosts that are called at the same time."""

log = structlog.get_logger(__name__)


def nodes_without_session(state: State, me: str, connected: Collection[str]) -> list[str]:
    """Ids of the nodes that have no session with any living manager."""
    found = []
    for node_id in state.nodes:
        session = state.sessions.get(node_id)
        if session is not None and session.left:
            continue
        holder = session.manager_id if session is not None else ""
        if node_id not in connected and (holder == me or holder not in state.members):
            found.append(node_id)
    return sorted(found)


class ManagerAnnouncer:
    """The announcer of one manager."""

    def __init__(self, store: Store, node_id: str, hosts: HostClient, connected: Callable[[], Collection[str]]) -> None:
        self._store, self._node_id, self._hosts, self._connected = store, node_id, hosts, connected

    async def run(self) -> NoReturn:
        """Call the hosts without a session, round after round; never returns."""
        tried: dict[str, int] = {}
        limit = asyncio.Semaphore(AT_ONCE)
        while True:
            now = nodes_without_session(self._store.state, self._node_id, self._connected())
            tried = {id: tried.get(id, -1) + 1 for id in now}
            called = [id for id in now if tried[id] < PATIENCE or not tried[id] % PATIENCE]
            await asyncio.gather(*(self._call(id, limit) for id in called))
            await asyncio.sleep(PAUSE)

    async def _call(self, node_id: str, limit: asyncio.Semaphore) -> None:
        info = session_info(self._store.state, node_id)
        notice = ManagersNotice(info.managers, info.apis, info.ids)
        async with limit:
            try:
                await self._hosts.announce(node_id, notice)
                log.info("a host without a session was told where the managers are", node=node_id)
            except ArgosyError:
                pass  # the host or its argosyd is off; it connects by itself when it is back
