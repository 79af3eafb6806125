"""What every node has on it: kept up with the state, so that placing a task costs no look at the other tasks.

A task weighs on its node from when it is assigned until it has ended. What it takes is read from its revision once and
remembered with it: double news of a task is harmless. Which nodes have changed is noted in a journal, for those who
keep nodes in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api import defaults
from api.objects import REVISION, STATUS, TASK, Task, TaskStatus, revision_id
from api.specs import Resources, ServiceSpec
from api.states import TaskState
from manager.store.state import Event, State

HostPort = tuple[str, int]
Named = tuple[str, str]
K = TypeVar("K", bound=Hashable)
_FAILURES = (TaskState.FAILED, TaskState.REJECTED)
_NOWHERE: dict[str, int] = {}
JOURNAL = 100_000
"""Notes kept; who has not read for longer begins anew."""


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
    nano_cpus: int = 0
    memory_bytes: int = 0
    discrete: dict[str, int] = field(default_factory=dict)
    named: dict[Named, int] = field(default_factory=dict)
    host_ports: dict[HostPort, int] = field(default_factory=dict)

    def copy(self) -> NodeLoad:
        """One that can be changed without changing this."""
        return NodeLoad(
            self.tasks, self.nano_cpus, self.memory_bytes,
            self.discrete.copy(), self.named.copy(), self.host_ports.copy(),
        )  # fmt: skip

    def add(self, task: Task, need: Need, sign: int = 1) -> None:
        """Put a task on it, or take it off."""
        self.tasks += sign
        self.nano_cpus += sign * need.nano_cpus
        self.memory_bytes += sign * need.memory_bytes
        for port in need.host_ports:
            count(self.host_ports, port, sign)
        for given in task.generic_resources:
            if given.discrete_resource_spec:
                count(self.discrete, given.discrete_resource_spec.kind, sign * given.discrete_resource_spec.value)
            elif given.named_resource_spec:
                count(self.named, (given.named_resource_spec.kind, given.named_resource_spec.value), sign)


EMPTY = NodeLoad()


class Journal:
    """Ids of the nodes that changed, in order. Each reader remembers how far it has read."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._start = 0

    @property
    def end(self) -> int:
        """Where the next note will stand."""
        return self._start + len(self._ids)

    def note(self, id: str) -> None:
        """A node has changed."""
        if len(self._ids) >= JOURNAL:
            self._start, self._ids = self.end, []
        self._ids.append(id)

    def since(self, place: int) -> list[str] | None:
        """What was noted from there on; None when that is forgotten."""
        return self._ids[place - self._start :] if place >= self._start else None


class Load:
    """A view of the state: the load of every node, and where services keep failing."""

    def __init__(self, state: State) -> None:
        self.nodes: dict[str, NodeLoad] = {}
        self.services: dict[str, dict[str, int]] = {}
        """By service: how many of its tasks are on which node."""
        self.journal = Journal()
        """Nodes with another load, or other facts (noted by the roster)."""
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

    def spread(self, service_id: str) -> dict[str, int]:
        """How many tasks of a service are on which node; not to be changed."""
        return self.services.get(service_id, _NOWHERE)

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
        if before is not None:
            if weighs and _same_weight(before[0], task):
                return
            self._lift(task.id)
        if weighs:
            need = self.need_of(task)
            self._placed[task.id] = (task, need)
            if (node := self.nodes.get(task.node_id)) is None:
                node = self.nodes[task.node_id] = NodeLoad()
            node.add(task, need)
            if (spread := self.services.get(task.service_id)) is None:
                spread = self.services[task.service_id] = {}
            spread[task.node_id] = spread.get(task.node_id, 0) + 1
            self.journal.note(task.node_id)

    def _lift(self, task_id: str) -> None:
        if (placed := self._placed.pop(task_id, None)) is not None:
            task, need = placed
            self.nodes[task.node_id].add(task, need, -1)
            if not self.nodes[task.node_id].tasks:
                del self.nodes[task.node_id]
            spread = self.services[task.service_id]
            count(spread, task.node_id, -1)
            if not spread:
                del self.services[task.service_id]
            self.journal.note(task.node_id)

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


def count(counts: dict[K, int], key: K, amount: int) -> None:
    """Add to a count; none at all leaves no key."""
    if number := counts.get(key, 0) + amount:
        counts[key] = number
    else:
        del counts[key]
