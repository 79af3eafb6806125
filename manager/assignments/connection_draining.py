"""When a task that is to stop may be signalled: once every host that lives sends it nothing new. Pure.

Each manager writes up to which revision of the state the hosts with a session there have brought their networks
(`Confirmation`, applied_revisions.py). A task left the endpoints at the revision at which it was told to stop; when
all hosts have come that far, it has drained. Nothing here is decided by the leader, and nothing is remembered: after a
manager's death, hosts count as soon as they have a session elsewhere.
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
    """What keeps a task from being signalled."""

    waiting: bool = False
    """Some host has not confirmed yet."""
    linger: float = 0.0
    """Seconds that it goes on after that."""


AT_ONCE = StopDelay()


def is_serving(state: State, task: Task) -> bool:
    """Whether the task takes connections: it runs, is to go on running, and its node is neither down nor suspected."""
    if task.desired > TaskState.COMPLETE or state.task_state(task) is not TaskState.RUNNING:
        return False
    if state.statuses[task.id].closing or state.node_state(task.node_id) is NodeState.DOWN:
        return False
    return not is_suspected(state, task.node_id)


def needs_draining(state: State, task: Task) -> bool:
    """Whether hosts may still send connections to a task that is to stop."""
    is_told = task.desired > TaskState.COMPLETE and bool(task.addresses)
    return is_told and state.task_state(task) is TaskState.RUNNING


class ConnectionDraining:
    """An index of the state: who serves, who leaves, and up to where all hosts have confirmed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._serving: dict[str, set[str]] = defaultdict(set)
        self._leaving: dict[str, set[str]] = defaultdict(set)
        self._confirmed: int | None = None
        for task in state.tasks.values():
            self._look(task)

    def follow(self, event: Event) -> None:
        """Take in a change."""
        if event.kind is TASK:
            for task in (event.old, event.new):
                if isinstance(task, Task):
                    self._look(task)
        elif event.kind is STATUS:
            if task := self._state.tasks.get(event.id):
                self._look(task)
        elif event.kind is NODE_DECISION:
            if getattr(event.old, "state", None) is not getattr(event.new, "state", None):
                self._confirmed = None
                self._look_at_nodes({event.id})
        elif event.kind is SUSPICIONS:
            self._look_at_nodes(self._state.concerned(event))
        elif event.kind in (SESSION, APPLIED_REVISION, NODE):
            self._confirmed = None
            if event.kind is SESSION and any(
                event.id in row.suspected for row in self._state.table(SUSPICIONS).values()
            ):
                self._look_at_nodes({event.id})

    @property
    def confirmed(self) -> int:
        """Every host with a session anywhere directs its traffic by the state as of this revision, or later."""
        if self._confirmed is None:
            self._confirmed = self._least()
        return self._confirmed

    def told(self) -> list[int]:
        """The revisions at which the tasks that have to drain were told to stop."""
        ids = (id for service, ids in self._leaving.items() if service in self._serving for id in ids)
        return [self._state.version(TASK, id) for id in ids]

    def of(self, task: Task) -> StopDelay:
        """What keeps a task from being signalled, now. A service of which nobody serves gains nothing by waiting."""
        if task.id not in self._leaving.get(task.service_id, ()) or task.service_id not in self._serving:
            return AT_ONCE
        return StopDelay(self._state.version(TASK, task.id) > self.confirmed, _linger(self._state, task))

    def _look_at_nodes(self, node_ids: set[str]) -> None:
        for node_id in node_ids:
            for task in self._state.tasks_on(node_id).values():
                self._look(task)

    def _look(self, task: Task) -> None:
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
            # what was confirmed before the session began was not confirmed of this host
            began = self._state.version(SESSION, node_id)
            reached = row.revision if row is not None and row.revision >= began else 0
            least = reached if least is None else min(least, reached)
        return sys.maxsize if least is None else least


def revision_to_publish(state: State, manager_id: str, in_force: Mapping[str, int]) -> int | None:
    """The revision that a manager should confirm now; None when nobody waits for it, or it knows of nothing new.

    `in_force` says of each host with a session here by which revision it directs its traffic.
    """
    told = state.index(ConnectionDraining).told()
    if not told:
        return None
    mine = [id for id, one in state.sessions.items() if one.manager_id == manager_id and _counts(state, id, one)]
    reached = min((in_force.get(id, 0) for id in mine), default=0)
    row = state.table(APPLIED_REVISION).get(manager_id)
    published = row.revision if row is not None else 0
    needed = [revision for revision in told if revision <= reached]
    if needed:
        needed += [state.version(SESSION, id) for id in mine]
    return reached if any(published < revision <= reached for revision in needed) else None


def _counts(state: State, node_id: str, session: NodeSession) -> bool:
    """Whether the host is to be waited for. One that is down is not, even while its session's lease lives."""
    return not session.left and node_id in state.nodes and state.node_state(node_id) is not NodeState.DOWN


def _note(index: dict[str, set[str]], task: Task, holds: bool) -> None:
    if holds:
        index[task.service_id].add(task.id)
    elif (row := index.get(task.service_id)) is not None:
        row.discard(task.id)
        if not row:
            del index[task.service_id]


def _linger(state: State, task: Task) -> float:
    """Without a virtual address its own is remembered by clients."""
    revision = state.revision_of(task)
    return NAME_TTL if revision and not revision.spec.has_vip else LINGER
