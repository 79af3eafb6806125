"""The leader: campaign, plan while leading, resign, campaign again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import structlog

from kit.timing import Clock
from manager.leader.election import Election, Term
from manager.leader.memory import Memory
from manager.leader.reconciler import reconcile
from manager.plan import Planner
from manager.store.interface import Fenced, Store

log = structlog.get_logger(__name__)


class Leader:
    """Runs the planners on this manager whenever it leads."""

    def __init__(self, store: Store, election: Election, planners: Sequence[Planner[Memory]], clock: Clock) -> None:
        self._store, self._election, self._planners, self._clock = store, election, planners, clock
        self._leading = False

    @property
    def leading(self) -> bool:
        """Whether this manager leads now."""
        return self._leading

    def leader_id(self) -> str:
        """Node id of the leader; "" if there is none."""
        return self._election.leader_id()

    async def run(self) -> NoReturn:
        """Campaign and lead until cancelled; then resign, so that another manager takes over at once."""
        while True:
            term = await self._election.campaign()
            try:
                self._leading = True
                await self._serve(term)
            finally:
                self._leading = False
                await term.resign()

    async def _serve(self, term: Term) -> None:
        """Plan until the term ends, by the lease or by the fence."""
        async with asyncio.TaskGroup() as group:
            planning = group.create_task(self._plan(term), name="planning")
            holding = group.create_task(term.hold(), name="leadership")
            await asyncio.wait((planning, holding), return_when=asyncio.FIRST_COMPLETED)
            planning.cancel()
            holding.cancel()

    async def _plan(self, term: Term) -> None:
        try:
            await reconcile(self._store, self._planners, Memory(), self._clock, term.fence)
        except Fenced:
            log.info("fenced off: another manager leads")
