"""The event log: the newest MOST events of the cluster, derived from the store's changes by each manager.

It observes each change as it is applied, and never compares whole states. Times are of this manager's clock, when it
received the change, so they never go back. Tasks change most often, so their attributes are built only when a client
reads the event. Attributes: moby daemon/events.go, and our own for tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api.objects.decided import NodeDecision, ServiceDecision, Task
from api.objects.kinds import (
    CONFIG,
    LEADERSHIP,
    MEMBER,
    NETWORK,
    NODE,
    NODE_DECISION,
    SECRET,
    SERVICE,
    SERVICE_DECISION,
    STATUS,
    TASK,
)
from api.objects.observed import TaskStatus  # fmt: skip
from api.objects.wanted import Network, Node, Service
from api.reasons.reason_text import task_error, task_message, text
from api.states import NodeState, TaskState
from kit.event_ring import EventRing
from kit.timing import Clock
from manager.store.naming import place_of, service_name, task_name
from manager.store.state import Event, State

MOST = 4096
"""Events in the log. Docker keeps 256."""
Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """One event. Numbers count from 1 without a gap; `time` is in Unix seconds."""

    number: int
    time: float
    type: str
    action: str
    id: str
    attributes: Attributes
    task: Task | None = None
    status: TaskStatus | None = None


class EventLog(EventRing[ClusterEvent]):
    """The newest events since this manager started; it has none from before."""

    def __init__(self, state: State, clock: Clock) -> None:
        super().__init__(MOST)
        self._state = state
        self._clock = clock
        self._removed: dict[str, str] = {}
        """Names of the MOST services removed last: events of their tasks still name them."""
        state.observe(self.follow)

    def attributes(self, of: ClusterEvent) -> Attributes:
        """All attributes of an event."""
        if (task := of.task) is None:
            return of.attributes
        found = task_attributes(self._state, task, of.status)
        if task.service_id not in self._state.services and (name := self._removed.get(task.service_id)):
            found |= {"name": f"{name}.{place_of(task)}", "service.name": name}
        return found

    def follow(self, event: Event) -> None:
        """Add the events of one change of the state."""
        if event.kind.name == SERVICE.name and event.new is None and isinstance(event.old, Service):
            self._removed[event.id] = event.old.spec.name
            if len(self._removed) > MOST:
                del self._removed[next(iter(self._removed))]
        derive = _DERIVED.get(event.kind.name)
        for type, action, id, rest in derive(self._state, event) if derive else ():
            task, status = rest if isinstance(rest, tuple) else (None, None)
            attributes = rest if isinstance(rest, dict) else {}
            self.add(ClusterEvent(self.last + 1, self._clock(), type, action, id, attributes, task, status))


NewEvents = Iterator[tuple[str, str, str, Attributes | tuple[Task, TaskStatus | None]]]
"""(type, action, id, attributes or the task that the event is about)."""


def task_attributes(state: State, task: Task, status: TaskStatus | None) -> Attributes:
    """The attributes of a task's event; empty ones are left out."""
    found = {
        "name": task_name(state, task),
        "service": task.service_id,
        "service.name": service_name(state, task),
        "node": task.node_id,
        "node.name": _hostname(state, task.node_id) if task.node_id else "",
        "desired": task.desired.value,
        "message": _message(task, status),
        "exitCode": str(status.exit_code) if status and status.exit_code is not None else "",
        "container": status.container_id if status else "",
    }
    return {name: text for name, text in found.items() if text}


def _message(task: Task, status: TaskStatus | None) -> str:
    if status is None:
        return text(task.reason)
    return task_error(status.state, status.reason) or task_message(status.state, status.reason)


def _changed(**sides: tuple[str, str]) -> Attributes:
    """Attributes NAME.new and NAME.old for each pair (old, new) that differs."""
    return {
        f"{name}.{which}": text
        for name, (old, new) in sides.items()
        if old != new
        for which, text in (("new", new), ("old", old))
        if text
    }


def _service(state: State, event: Event) -> NewEvents:
    old, new = event.old, event.new
    known = new or old
    if not isinstance(known, Service):
        return
    attributes = {"name": known.spec.name}
    if isinstance(old, Service) and isinstance(new, Service):
        attributes |= _changed(image=(_image(old), _image(new)), replicas=(_replicas(old), _replicas(new)))
    yield "service", _action(event), event.id, attributes


def _image(service: Service) -> str:
    return service.spec.task_template.container_spec.image


def _replicas(service: Service) -> str:
    return str(service.spec.replicas) if service.spec.is_replicated else ""


def _service_decision(state: State, event: Event) -> NewEvents:
    service = state.services.get(event.id)
    changed = _changed(updatestate=(_update_state(event.old), _update_state(event.new)))
    if service is not None and changed:
        yield "service", "update", event.id, {"name": service.spec.name, **changed}


def _update_state(value: object) -> str:
    return value.update.state if isinstance(value, ServiceDecision) and value.update else ""


def _node(state: State, event: Event) -> NewEvents:
    old, new = event.old, event.new
    attributes = {"name": _hostname(state, event.id)}
    if isinstance(old, Node) and isinstance(new, Node):
        attributes |= _changed(
            availability=(old.spec.availability.value, new.spec.availability.value),
            role=(old.spec.role.value, new.spec.role.value),
        )
    yield "node", _action(event), event.id, attributes


def _node_decision(state: State, event: Event) -> NewEvents:
    old, new = (
        value.state.value if isinstance(value, NodeDecision) else NodeState.UNKNOWN.value
        for value in (event.old, event.new)
    )
    if event.new is not None and old != new:
        yield "node", "update", event.id, {"name": _hostname(state, event.id), **_changed(state=(old, new))}


def _member(state: State, event: Event) -> NewEvents:
    if (event.old is None) == (event.new is None):
        return
    sides = ("unreachable", "reachable") if event.new is not None else ("reachable", "unreachable")
    yield "node", "update", event.id, {"name": _hostname(state, event.id), **_changed(reachability=sides)}


def _leadership(state: State, event: Event) -> NewEvents:
    for value, sides in ((event.old, ("true", "false")), (event.new, ("false", "true"))):
        node_id = getattr(value, "node_id", "")
        if node_id:
            yield "node", "update", node_id, {"name": _hostname(state, node_id), **_changed(leader=sides)}


def _network(state: State, event: Event) -> NewEvents:
    old, new = event.old, event.new
    known = new or old
    if not isinstance(known, Network):
        return
    hidden = [isinstance(value, Network) and value.removed for value in (old, new)]
    if hidden[0]:
        return  # its event came when it was marked as removed; now the leader has cleaned up
    action = "remove" if hidden[1] else _action(event)
    yield "network", action, event.id, {"name": known.spec.name, "type": known.spec.driver or "overlay"}


def _file(state: State, event: Event) -> NewEvents:
    known: Any = event.new or event.old
    yield event.kind.name.rpartition("/")[2].removesuffix("s"), _action(event), event.id, {"name": known.spec.name}


def _task(state: State, event: Event) -> NewEvents:
    old, new = event.old, event.new
    if isinstance(new, Task):
        if not isinstance(old, Task) or old.state is not new.state:
            yield "task", new.state.value, event.id, (new, None)
    elif isinstance(old, Task):
        yield "task", TaskState.REMOVE.value, event.id, (old, None)


def _status(state: State, event: Event) -> NewEvents:
    old, new, task = event.old, event.new, state.tasks.get(event.id)
    if not isinstance(new, TaskStatus) or task is None:
        return
    if not isinstance(old, TaskStatus) or old.state is not new.state:
        yield "task", new.state.value, event.id, (task, new)


def _action(event: Event) -> str:
    if event.old is None:
        return "create"
    return "remove" if event.new is None else "update"


def _hostname(state: State, node_id: str) -> str:
    description = state.descriptions.get(node_id)
    return description.hostname if description else ""


_DERIVED = {
    SERVICE.name: _service,
    SERVICE_DECISION.name: _service_decision,
    NODE.name: _node,
    NODE_DECISION.name: _node_decision,
    MEMBER.name: _member,
    LEADERSHIP.name: _leadership,
    NETWORK.name: _network,
    SECRET.name: _file,
    CONFIG.name: _file,
    TASK.name: _task,
    STATUS.name: _status,
}
"""By kind of stored object: the events that a change of it makes."""
