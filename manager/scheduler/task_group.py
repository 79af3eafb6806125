"""Task groups: pending tasks of one service revision. They are equal for placement, so they are decided on together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from api.objects.decided import Revision, Task
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.service.host_config import DeviceRequest
from api.service.placement import Placement
from api.states import GOING, TaskState
from manager.scheduler.node_load import Demand, Load, NodeLoad
from manager.scheduler.service_spread import Spread
from manager.store.state import State

_ANYWHERE = Placement()


@dataclass(slots=True)
class TaskGroup:
    """Tasks of one revision that wait for a node."""

    service_id: str
    revision: int
    placement: Placement
    demand: Demand
    devices: Sequence[DeviceRequest] = ()
    """CDI devices that each task requests."""
    tasks: list[Task] = field(default_factory=list)
    """Tasks that may go to any node, in the order in which they began to wait."""
    bound: list[Task] = field(default_factory=list)
    """Tasks bound to a node."""
    spread: Spread = field(default_factory=Spread)
    """The spread of the service, including this round's placements."""


@dataclass(slots=True)
class Candidate:
    """A node with its load, including this round's placements."""

    id: str
    node: Node
    seen: NodeDescription
    ready: bool
    load: NodeLoad


def pending_groups(state: State, load: Load) -> list[TaskGroup]:
    """All waiting tasks in groups; groups and their tasks in the order in which they began to wait."""
    groups: dict[tuple[str, int], TaskGroup | None] = {}
    service_id, number, group = "", -1, None
    for task in state.tasks_in(TaskState.PENDING).values():
        if task.desired not in GOING:
            continue
        if task.service_id != service_id or task.revision != number:  # most follow a task of the same group
            service_id, number = task.service_id, task.revision
            key = (service_id, number)
            if key not in groups:
                revision = state.revisions_of(service_id).get(number)
                groups[key] = group_of(revision, load.demand_of(task)) if revision else None
            group = groups[key]
        if group is not None:
            (group.bound if task.node_id else group.tasks).append(task)
    return [group for group in groups.values() if group is not None]


def group_of(revision: Revision, demand: Demand) -> TaskGroup:
    """An empty group for tasks of a revision."""
    task = revision.spec.task_template
    host = task.container_spec.host_config
    return TaskGroup(
        revision.service_id,
        revision.number,
        task.placement or _ANYWHERE,
        demand,
        host.device_requests if host else (),
    )
