"""What every node has on it: kept up with the state, so that placing a task costs no look at the other tasks.

A task weighs on its node from when it is assigned until it has ended. What it takes is read from its revision once and
remembered with it: double news of a task is harmless.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from api import defaults
from api.objects import REVISION, STATUS, TASK, Task, TaskStatus, revision_id
from api.specs import Resources, ServiceSpec
from api.states import TaskState
from manager.store.state import Event, State

HostPort = tuple[str, int]
Named = tuple[str, str]
_FAILURES = (TaskState.FAILED, TaskState.REJECTED)


@dataclass(frozen=True, slots=True)
class Need:
    """What one task of a revision takes from its node."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[tuple[str, int], ...] = ()
    """How many of each kind."""
    generic_named: tuple[Named, ...] = ()
    host_ports: tuple[HostPort, ...] = ()


@dataclass(slots=True)
class NodeLoad:
    """What one node's tasks take together."""

    tasks: int = 0
    services: Counter[str] = field(default_factory=Counter)
    nano_cpus: int = 0
    memory_bytes: int = 0
    discrete: Counter[str] = field(default_factory=Counter)
    named: Counter[Named] = field(default_factory=Counter)
    host_ports: Counter[HostPort] = field(default_factory=Counter)

    def copy(self) -> NodeLoad:
        """One that can be changed without changing this."""
        return NodeLoad(
            self.tasks, self.services.copy(), self.nano_cpus, self.memory_bytes,
            self.discrete.copy(), self.named.copy(), self.host_ports.copy(),
        )  # fmt: skip

    def add(self, task: Task, need: Need, sign: int = 1) -> None:
        """Put a task on it, or take it off."""
        self.tasks += sign
        _count(self.services, task.service_id, sign)
        self.nano_cpus += sign * need.nano_cpus
        self.memory_bytes += sign * need.memory_bytes
        for port in need.host_ports:
            _count(self.host_ports, port, sign)
        for given in task.generic_resources:
            if given.discrete_resource_spec:
                _count(self.discrete, given.discrete_resource_spec.kind, sign * given.discrete_resource_spec.value)
            elif given.named_resource_spec:
                _count(self.named, (given.named_resource_spec.kind, given.named_resource_spec.value), sign)


EMPTY = NodeLoad()


class Load:
    """A view of the state: the load of every node, and where services keep failing."""

    def __init__(self, state: State) -> None:
        self.nodes: dict[str, NodeLoad] = {}
        self._state = state
        self._needs: dict[str, Need] = {}
        self._placed: dict[str, tuple[Task, Need]] = {}
        self._failures: defaultdict[tuple[str, int], dict[str, list[float]]] = defaultdict(dict)
        """(service, revision) → node → times. Old ones are dropped when asked for; reaping history drops none."""
        for task in state.tasks.values():
            self._weigh(task)
            if (status := state.statuses.get(task.id)) is not None:
                self._note_failure(task, None, status)

    def of(self, node_id: str) -> NodeLoad:
        """A node's load; not to be changed."""
        return self.nodes.get(node_id, EMPTY)

    def faulty(self, service_id: str, revision: int, now: float) -> set[str]:
        """Nodes on which a service's revision has kept failing of late."""
        failures = self._failures.get((service_id, revision))
        if not failures:
            return set()
        for node_id, times in list(failures.items()):
            times[:] = [at for at in times if at > now - defaults.FAULTY_WINDOW][-defaults.FAULTY_FAILURES :]
            if not times:
                del failures[node_id]
        return {node_id for node_id, times in failures.items() if len(times) >= defaults.FAULTY_FAILURES}

    def follow(self, event: Event) -> None:
        """Keep up with a change of a task, its status or its revision."""
        if event.kind is TASK:
            if isinstance(event.new, Task):
                self._weigh(event.new)
            else:
                self._lift(event.id)
        elif event.kind is STATUS:
            if (task := self._state.tasks.get(event.id)) is not None:
                self._weigh(task)
                self._note_failure(task, event.old, event.new)
        elif event.kind is REVISION:
            self._needs.pop(event.id, None)
            if event.new is None:
                service_id, _, number = event.id.rpartition(".")
                self._failures.pop((service_id, int(number)), None)

    def need_of(self, task: Task) -> Need:
        """What a task takes from its node."""
        id = revision_id(task.service_id, task.revision)
        need = self._needs.get(id)
        if need is None:
            revision = self._state.table(REVISION).get(id)
            need = self._needs[id] = need_of(revision.spec) if revision else Need()
        return need

    def _weigh(self, task: Task) -> None:
        before = self._placed.get(task.id)
        weighs = bool(task.node_id) and task.state is TaskState.ASSIGNED and not self._state.has_ended(task)
        if before is not None and weighs and _same_weight(before[0], task):
            return
        self._lift(task.id)
        if weighs:
            need = self.need_of(task)
            self._placed[task.id] = (task, need)
            self.nodes.setdefault(task.node_id, NodeLoad()).add(task, need)

    def _lift(self, task_id: str) -> None:
        if (placed := self._placed.pop(task_id, None)) is not None:
            task, need = placed
            self.nodes[task.node_id].add(task, need, -1)
            if not self.nodes[task.node_id].tasks:
                del self.nodes[task.node_id]

    def _note_failure(self, task: Task, old: Any, new: Any) -> None:
        if not isinstance(new, TaskStatus) or new.state not in _FAILURES or not task.node_id:
            return
        if not isinstance(old, TaskStatus) or old.state not in _FAILURES:
            by_node = self._failures[task.service_id, task.revision]
            by_node.setdefault(task.node_id, []).append(new.timestamp)


def need_of(spec: ServiceSpec) -> Need:
    """What each task of a service takes from its node."""
    resources = spec.task_template.resources or Resources()
    ports = spec.endpoint_spec.ports if spec.endpoint_spec else []
    host_ports = tuple(
        (port.protocol, port.published_port) for port in ports
        if port.publish_mode == "host" and port.published_port
    )  # fmt: skip
    wanted = resources.reservations
    if wanted is None:
        return Need(host_ports=host_ports)
    kinds: Counter[str] = Counter()
    named: list[Named] = []
    for generic in wanted.generic_resources:
        if generic.discrete_resource_spec:
            kinds[generic.discrete_resource_spec.kind] += generic.discrete_resource_spec.value
        elif generic.named_resource_spec:
            named.append((generic.named_resource_spec.kind, generic.named_resource_spec.value))
    return Need(wanted.nano_cpus, wanted.memory_bytes, tuple(kinds.items()), tuple(named), host_ports)


def _same_weight(old: Task, new: Task) -> bool:
    return old.node_id == new.node_id and old.generic_resources == new.generic_resources


def _count(counter: Counter[Any], key: Any, amount: int) -> None:
    counter[key] += amount
    if not counter[key]:
        del counter[key]
