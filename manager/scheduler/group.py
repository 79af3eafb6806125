"""Pending tasks of one service revision: alike in everything that matters to placement, so decided on together."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.objects import Node, NodeDescription, Revision, Task
from api.specs import Placement
from api.states import GOING, TaskState
from manager.scheduler.load import Need, NodeLoad, need_of
from manager.store.state import State

_ANYWHERE = Placement()


@dataclass(slots=True)
class Group:
    """Tasks waiting for a node."""

    service_id: str
    revision: int
    placement: Placement
    need: Need
    tasks: list[Task] = field(default_factory=list)
    """Those that may go anywhere, the oldest first."""
    bound: list[Task] = field(default_factory=list)
    """Those bound to a node."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many tasks of the service each node has, with this round's."""


@dataclass(slots=True)
class Candidate:
    """A node, and what is on it with this round's placements."""

    id: str
    node: Node
    seen: NodeDescription
    ready: bool
    load: NodeLoad


def pending_groups(state: State) -> list[Group]:
    """All that waits, grouped; groups and their tasks in the order in which they began to wait."""
    groups: dict[tuple[str, int], Group] = {}
    for task in state.tasks_in(TaskState.PENDING).values():
        if task.desired not in GOING:
            continue
        key = (task.service_id, task.revision)
        group = groups.get(key)
        if group is None:
            if (revision := state.revisions_of(task.service_id).get(task.revision)) is None:
                continue
            group = groups[key] = _group_of(revision)
        (group.bound if task.node_id else group.tasks).append(task)
    return list(groups.values())


def _group_of(revision: Revision) -> Group:
    placement = revision.spec.task_template.placement or _ANYWHERE
    return Group(revision.service_id, revision.number, placement, need_of(revision.spec))
