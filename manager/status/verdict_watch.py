"""Verdicts on a set of services, kept up with the state: a service is judged again when it changed or time is due."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf

from api.objects.kinds import CURRENT_LEADER, LEADERSHIP
from api.objects.wanted import Service
from kit.delay_queue import DelayQueue
from manager.status.service_verdict import Verdict, service_verdict
from manager.store.state import State


class VerdictWatch:
    """Verdicts by service id, on the services that pass a filter."""

    def __init__(self, passes: Callable[[Service], bool], patience: float, named: Collection[str] = ()) -> None:
        """`named` are ids of services that are reported even when they do not exist."""
        self.verdicts: dict[str, tuple[Service, Verdict]] = {}
        self._passes = passes
        self._patience = patience
        self._named = frozenset(named)
        self._due: DelayQueue[str] = DelayQueue()
        self._leads: bool | None = None

    def update(self, state: State, changed: Iterable[str], now: float) -> set[str]:
        """Judge again the changed and due services; `changed` are ids of services. Returns the ids of those with a new
        verdict or that are gone; the first call returns all."""
        ids = {*changed, *list(self._due.due(now))}
        leads = CURRENT_LEADER in state.table(LEADERSHIP)
        if leads is not self._leads:  # affects every service
            self._leads, ids = leads, {*state.services, *self.verdicts, *self._named}
        return {id for id in ids if self._judge(state, id, now)}

    def again_at(self) -> float:
        """When to call `update` although nothing changed, in Unix seconds; infinity for never."""
        at = self._due.next_time()
        return inf if at is None else at

    def _judge(self, state: State, id: str, now: float) -> bool:
        """Judge a service; whether the result is new."""
        service = state.services.get(id)
        before = self.verdicts.pop(id, None)
        if service is None or not self._passes(service):
            self._due.drop(id)
            return before is not None or (service is None and id in self._named)
        verdict = service_verdict(state, service, now, self._patience)
        self.verdicts[id] = (service, verdict)
        if verdict.again_at < inf:
            self._due.put(id, verdict.again_at)
        else:
            self._due.drop(id)
        return before != (service, verdict)
