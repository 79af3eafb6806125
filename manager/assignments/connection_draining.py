"""Connection draining: a task that is to stop gets its signal once no living host sends it new connections. Pure.

Each manager writes the revision of the state up to which the hosts with a session there have updated their networks
(`Confirmation`, applied_revisions.py). A task is removed from the endpoints at the revision that stops
it; once all hosts have applied that revision, it has drained. The leader decides nothing here, and no memory is needed:
after a manager has failed, its hosts count again as soon as they have a session on another.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from api.defaults import LINGER, NAME_TTL
from api.objects.decided import Task
from api.objects.kinds import (
    APPLIED_REVISION,
    NODE,
    NODE_DECISION,
    SESSION,
    STATUS,
    SUSPICIONS,
    TASK,
)
from api.objects.observed import NodeSession
from api.states import NodeState, TaskState
from manager.hosts.suspicion import is_suspected
from manager.store.state import Event, State


class StopDelay(NamedTuple):
    """What delays the stop signal of a task."""

    waiting: bool = False
    """Whether a host has not yet applied the revision that stops the task."""
    linger: float = 0.0
    """Seconds that the task continues to run after that."""


AT_ONCE = StopDelay()


def is_serving(state: State, task: Task) -> bool:
    """Whether the task takes connections: it runs, is not to stop, and its node is neither down nor suspected."""
    if task.desired > TaskState.COMPLETE or state.task_state(task) is not TaskState.RUNNING:
        return False
    if state.statuses[task.id].closing or state.node_state(task.node_id) is NodeState.DOWN:
        return False
    return not is_suspected(state, task.node_id)


def needs_draining(state: State, task: Task) -> bool:
    """Whether hosts may still send connections to a task that is to stop."""
    is_stopping = task.desired > TaskState.COMPLETE and bool(task.addresses)
    return is_stopping and state.task_state(task) is TaskState.RUNNING


class ConnectionDraining:
    """The tasks that serve, those that drain, and the revision that all hosts have applied. An index of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._serving: dict[str, set[str]] = defaultdict(set)
        self._leaving: dict[str, set[str]] = defaultdict(set)
        self._applied: int | None = None
        for task in state.tasks.values():
            self._update(task)

    def follow(self, event: Event) -> None:
        """Apply a change of the state."""
        if event.kind is TASK:
            for task in (event.old, event.new):
                if isinstance(task, Task):
                    self._update(task)
        elif event.kind is STATUS:
            if task := self._state.tasks.get(event.id):
                self._update(task)
        elif event.kind is NODE_DECISION:
            if getattr(event.old, "state", None) is not getattr(event.new, "state", None):
                self._applied = None
                self._update_nodes({event.id})
        elif event.kind is SUSPICIONS:
            self._update_nodes(self._state.concerned(event))
        elif event.kind in (SESSION, APPLIED_REVISION, NODE):
            self._applied = None
            if event.kind is SESSION and any(
                event.id in row.suspected for row in self._state.table(SUSPICIONS).values()
            ):
                self._update_nodes({event.id})

    @property
    def applied(self) -> int:
        """The revision of the state that every host with a session on any manager has applied."""
        if self._applied is None:
            self._applied = self._least()
        return self._applied

    def stop_revisions(self) -> list[int]:
        """The revisions that stop the tasks which have to drain."""
        ids = (id for service, ids in self._leaving.items() if service in self._serving for id in ids)
        return [self._state.version(TASK, id) for id in ids]

    def of(self, task: Task) -> StopDelay:
        """The stop delay of a task now. It is AT_ONCE when no other task of the service serves: waiting would not
        help."""
        if task.id not in self._leaving.get(task.service_id, ()) or task.service_id not in self._serving:
            return AT_ONCE
        return StopDelay(self._state.version(TASK, task.id) > self.applied, _linger(self._state, task))

    def _update_nodes(self, node_ids: set[str]) -> None:
        for node_id in node_ids:
            for task in self._state.tasks_on(node_id).values():
                self._update(task)

    def _update(self, task: Task) -> None:
        exists = self._state.tasks.get(task.id) is task
        _note(self._serving, task, exists and is_serving(self._state, task))
        _note(self._leaving, task, exists and needs_draining(self._state, task))

    def _least(self) -> int:
        confirmations = self._state.table(APPLIED_REVISION)
        least: int | None = None
        for node_id, session in self._state.sessions.items():
            if not _counts(self._state, node_id, session):
                continue
            row = confirmations.get(session.manager_id)
            # a revision published before the session began does not include this host
            began = self._state.version(SESSION, node_id)
            reached = row.revision if row is not None and row.revision >= began else 0
            least = reached if least is None else min(least, reached)
        return sys.maxsize if least is None else least


def revision_to_publish(state: State, manager_id: str, applied: Mapping[str, int]) -> int | None:
    """The applied revision that a manager should publish now; None when no task waits for it, or nothing is new.

    `applied`: by host with a session on this manager, the revision that its networks have applied.
    """
    stopping = state.index(ConnectionDraining).stop_revisions()
    if not stopping:
        return None
    mine = [id for id, one in state.sessions.items() if one.manager_id == manager_id and _counts(state, id, one)]
    reached = min((applied.get(id, 0) for id in mine), default=0)
    row = state.table(APPLIED_REVISION).get(manager_id)
    published = row.revision if row is not None else 0
    needed = [revision for revision in stopping if revision <= reached]
    if needed:
        needed += [state.version(SESSION, id) for id in mine]
    return reached if any(published < revision <= reached for revision in needed) else None


def _counts(state: State, node_id: str, session: NodeSession) -> bool:
    """Whether to wait for the host. Not when it is down, even while its session's lease lives."""
    return not session.left and node_id in state.nodes and state.node_state(node_id) is not NodeState.DOWN


def _note(index: dict[str, set[str]], task: Task, holds: bool) -> None:
    if holds:
        index[task.service_id].add(task.id)
    elif (row := index.get(task.service_id)) is not None:
        row.discard(task.id)
        if not row:
            del index[task.service_id]


def _linger(state: State, task: Task) -> float:
    """Seconds. Longer without a virtual address, because clients then cache the task's own."""
    revision = state.revision_of(task)
    return NAME_TTL if revision and not revision.spec.has_vip else LINGER
