"""The nodes on which the tasks of a service keep failing: they are tried last, as in swarmkit.

Part of the scheduler's memory, and the only part that a new leader cannot rebuild: it does not know of failed tasks
that have been deleted. The only effect is that a node is tried once more.
"""

from __future__ import annotations

from collections.abc import Collection

from api import defaults
from api.states import TaskState
from manager.store.state import Dirty, State

_FAILURES = (TaskState.FAILED, TaskState.REJECTED)
Times = dict[str, float]
"""Ids of failed tasks, and when they failed (Unix seconds)."""


class Failures:
    """The newest failures of each service revision on each node: no more than it takes to call the node faulty."""

    def __init__(self) -> None:
        self._services: dict[str, dict[int, dict[str, Times]]] = {}
        """Service → revision → node."""
        self._begun = False

    def take_in(self, state: State, dirty: Dirty) -> None:
        """Record the tasks that have failed (the first time, of all tasks), and drop revisions that are gone."""
        ids = dirty.tasks if self._begun else state.statuses
        self._begun = True
        for id in ids:
            status = state.statuses.get(id)
            if status is not None and status.state in _FAILURES:
                task = state.tasks.get(id)
                if task is not None and task.node_id:
                    self._note(task.service_id, task.revision, task.node_id, id, status.timestamp)
        for id in self._services.keys() & dirty.services:
            self._forget(id, state.revisions_of(id).keys())

    def faulty(self, service_id: str, revision: int, now: float) -> set[str]:
        """Nodes on which a service's revision has failed repeatedly within the last FAULTY_WINDOW seconds."""
        nodes = self._services.get(service_id, {}).get(revision)
        if not nodes:
            return set()
        since = now - defaults.FAULTY_WINDOW
        return {
            node_id for node_id, times in nodes.items()
            if sum(at > since for at in times.values()) >= defaults.FAULTY_FAILURES
        }  # fmt: skip

    def _note(self, service_id: str, revision: int, node_id: str, task_id: str, at: float) -> None:
        nodes = self._services.setdefault(service_id, {}).setdefault(revision, {})
        times = nodes.setdefault(node_id, {})
        times[task_id] = at
        if len(times) > defaults.FAULTY_FAILURES:
            del times[min(times, key=times.__getitem__)]

    def _forget(self, service_id: str, kept: Collection[int]) -> None:
        revisions = self._services[service_id]
        for number in revisions.keys() - kept:
            del revisions[number]
        if not revisions:
            del self._services[service_id]
