"""Laws about what was, too: they are told what they need from step to step and remember it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from api import defaults
from api.service.service_spec import UpdateConfig
from manager.store.state import State
from tests.sim.laws import demand

PERIOD = 20
"""Seconds between the runs of the scheduled jobs (users.py)."""
STEP = 20.0
"""Seconds that the simulation lets pass at once, most."""


class RunBook:
    """Every run of every scheduled job, as the history showed it from step to step."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[float, int]] = {}

    def read(self, state: State) -> None:
        """No due time is decided about twice, and none is left out."""
        for gone in self._seen.keys() - state.services.keys():
            self._seen.pop(gone)
        for service in state.services.values():
            decision = state.service_decisions.get(service.id)
            if decision is None or not decision.runs or service.spec.job_schedule() is None:
                continue
            seen = self._seen.setdefault(service.id, {})
            for due, number in Counter(run.due_at for run in decision.runs).items():
                demand(number == 1, "runs", f"{service.id}: {number} runs are due at {due}")
            news = False
            for run in decision.runs:
                if run.due_at not in seen:
                    demand(not seen or run.due_at > max(seen), "runs", f"{service.id}: {run} came after a later one")
                    news = True
                demand(seen.setdefault(run.due_at, run.number) == run.number, "runs", f"{service.id}: {run} is double")
            if news:
                for one, other in pairwise(sorted(seen)):
                    demand(other - one == PERIOD, "runs", f"{service.id}: nothing between {one} and {other}")


class ProgressBook:
    """When a task of each service last came to run, or ended, against the deadline of its update."""

    def __init__(self) -> None:
        self._ran: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def ran(self, service_id: str, now: float) -> None:
        """A task of the service runs."""
        self._ran[service_id] = now

    def ended(self, service_id: str, now: float) -> None:
        """A task of the service is over."""
        self._ended[service_id] = now

    def read(self, state: State, now: float) -> None:
        """An update under way in which nothing came to run for longer than the deadline has been paused or undone.

        One that is to continue whatever fails also moves on with each task that has failed.
        """
        for id, decision in state.service_decisions.items():
            update = decision.update
            if update is None or update.state not in ("updating", "rollback_started") or id not in state.services:
                continue
            kept = state.revisions_of(id).get(decision.revision)
            if kept is None:
                continue
            back = update.state == "rollback_started"
            how = (kept.spec.rollback_config if back else kept.spec.update_config) or UpdateConfig()
            wanted = how.progress_deadline if how.progress_deadline is not None else defaults.PROGRESS_DEADLINE
            patience = (wanted + how.delay + (how.monitor or defaults.UPDATE_MONITOR)) / defaults.SECOND + STEP
            moved = self._ended.get(id, 0.0) if how.failure_action == "continue" else 0.0
            idle = now - max(self._ran.get(id, 0.0), moved, update.started_at)
            demand(idle <= patience, "progress", f"{id} is {update.state} for {idle:g} s, and nothing comes to run")
