"""Key renewal: the leader's loop that replaces the cluster's keys when they are due (security/rekeying.py)."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog

from api.errors import ArgosyError
from api.objects.kinds import CLUSTER, LEADERSHIP, NODE, SECRET
from kit.timing import Clock
from manager.security.rekeying import again_in, due
from manager.security.rights import leads, watch
from manager.store.interface import Store

log = structlog.get_logger(__name__)

PAUSE = 1.0
"""Seconds to wait after a failed write."""


class KeyRenewal:
    """The loop of one manager; it acts only while that manager leads and its role is manager."""

    def __init__(self, store: Store, node_id: str, clock: Clock) -> None:
        self._store = store
        self._node_id = node_id
        self._clock = clock
        self._changed = asyncio.Event()
        watch(store.state, (NODE, CLUSTER, SECRET, LEADERSHIP), self._changed.set)

    async def run(self) -> NoReturn:
        """Renew keys until cancelled."""
        while True:
            self._changed.clear()
            wait = await self._renew_if_due()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _renew_if_due(self) -> float | None:
        """Renew what is due. Returns the seconds until the next check if nothing changes; None: no limit."""
        state = self._store.state
        while leads(state, self._node_id) and state.is_manager(self._node_id):
            if not (changes := due(state, self._clock())):
                return again_in(state)
            try:
                await self._store.commit(changes)
                log.info("the cluster's keys were brought up to date", objects=len(changes))
            except ArgosyError as error:
                log.info("the cluster's keys could not be brought up to date yet", reason=str(error))
                return PAUSE
        return None
