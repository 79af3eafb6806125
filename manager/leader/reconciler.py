"""The reconciler: the loop around the planners. It waits for changes, asks every planner, commits, and retries.

A round: take the dirty ids; each planner plans on the state; one fenced commit. A commit returns once the state has it,
so the next round sees the result. After a failure the ids are marked dirty again. The reconciler decides nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Generic, NoReturn, TypeVar

import structlog

from api.errors import ArgosyError, Unavailable
from kit.delay_queue import DelayQueue
from kit.timing import Clock, backoff
from manager.plan import Plan, Planner
from manager.store.interface import Change, Fence, Fenced, Stale, Store
from manager.store.state import Dirty

log = structlog.get_logger(__name__)
M = TypeVar("M")
MOST_PAUSE = 0.2
"""Most seconds to pause after a round that planned for long without any change."""
STALE_WAIT = 1.0
"""Seconds to wait until the change that caused a conflict shows in the state."""


async def reconcile(
    store: Store, planners: Sequence[Planner[M]], memory: M, clock: Clock, fence: Fence | None = None
) -> NoReturn:
    """Run rounds of planning as long as this manager leads. Raises Fenced when it no longer does.

    `memory` belongs to the planners and to this term.
    """
    dirty = store.track()
    try:
        await Reconciler(store, planners, memory, clock, fence, dirty).run()
    finally:
        store.untrack(dirty)


class Reconciler(Generic[M]):
    """The rounds of one term. `dirty` is kept up by the store; at first it contains everything."""

    def __init__(
        self,
        store: Store,
        planners: Sequence[Planner[M]],
        memory: M,
        clock: Clock,
        fence: Fence | None,
        dirty: Dirty,
    ) -> None:
        self._store, self._planners, self._memory = store, planners, memory
        self._clock, self._fence, self._dirty = clock, fence, dirty
        self._delayed: DelayQueue[tuple[int, str, str]] = DelayQueue()
        """By planner, kind and id: one planner's delay does not replace another's for the same object."""
        self._planned = 0.0
        """Seconds the last round's planning took."""
        self._idle = False
        """Whether the last round found nothing to do. The next one then waits, to handle more changes at once."""
        self._reset_backoff()

    async def run(self) -> NoReturn:
        """Run rounds until cancelled or fenced; wait while nothing is dirty or due."""
        while True:
            revision = self._store.state.revision
            for _, kind, id in self._delayed.due(self._clock()):
                self._dirty.add(kind, id)
            if self._dirty:
                await self.round()
                if self._idle:
                    await asyncio.sleep(min(self._planned, MOST_PAUSE))
            else:
                await self._wait(revision)

    async def round(self) -> None:
        """Run one round over the dirty ids. Raises Fenced."""
        taken, seen = self._dirty.take(), self._store.state.revision
        plans, sound = await self._ask(taken)
        try:
            changes = without_conflicts(plans)
            self._idle = not changes
            if changes:
                await self._store.commit(changes, self._fence)
        except Fenced:
            raise
        except Stale:
            self._dirty.merge(taken)
            await self._wait_newer(seen, STALE_WAIT)
        except ArgosyError as error:
            log.log(_LEVELS[isinstance(error, Unavailable)], "commit failed, will look again", reason=str(error))
            self._dirty.merge(taken)
            await asyncio.sleep(next(self._delays))
        else:
            await self._after(taken, sound)

    async def _ask(self, dirty: Dirty) -> tuple[list[Plan], bool]:
        """Every planner's plan, and whether all succeeded. Yields to the event loop after each planner."""
        plans, sound, loop = [], True, asyncio.get_running_loop()
        self._planned = 0.0
        for number, planner in enumerate(self._planners):
            began = loop.time()
            try:
                plan = planner(self._store.state, self._memory, dirty, self._clock())
            except Exception:
                log.exception("a planner failed", planner=getattr(planner, "__name__", type(planner).__name__))
                sound = False
                continue
            for (kind, id), time in plan.again.items():
                self._delayed.put((number, kind, id), time)
            plans.append(plan)
            self._planned += loop.time() - began
            await asyncio.sleep(0)
        return plans, sound

    async def _after(self, taken: Dirty, sound: bool) -> None:
        """Reset the backoff; if a planner failed, retry after a pause. Changes of the others are committed."""
        if sound:
            self._reset_backoff()
        else:
            self._dirty.merge(taken)
            await asyncio.sleep(next(self._delays))

    def _reset_backoff(self) -> None:
        self._delays = backoff(random.Random())

    async def _wait(self, revision: int) -> None:
        time = self._delayed.next_time()
        await self._wait_newer(revision, None if time is None else max(0.0, time - self._clock()))

    async def _wait_newer(self, revision: int, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._store.wait_newer(revision)
        except TimeoutError:
            pass  # a delayed id is due


def without_conflicts(plans: Iterable[Plan]) -> list[Change]:
    """All changes, except those to a key that an earlier planner changes; the later one plans again next round."""
    claimed: set[tuple[str, str]] = set()
    changes: list[Change] = []
    for plan in plans:
        for change in plan.changes:
            key = (change.kind.name, change.id)
            if key not in claimed:
                claimed.add(key)
                changes.append(change)
    return changes


_LEVELS = {True: 20, False: 40}
"""By whether the store is unavailable: that is expected for a while (info); a refused commit is an error."""
