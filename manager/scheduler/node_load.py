"""What every node has on it: kept up with the state, so that placing a task costs no look at the other tasks.

A task weighs on its node from when it is assigned until it has ended. What it takes is read from its revision once and
remembered with it: double news of a task is harmless. Which nodes have changed is noted in a journal, for those who
keep nodes in order. What a round of the scheduler plans is laid on top, and lifted again when the round is over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api import defaults
from api.objects.decided import Task
from api.objects.kinds import REVISION, STATUS, TASK, revision_id
from api.objects.observed import TaskStatus
from api.service.resources import Resources
from api.service.service_spec import ServiceSpec
from api.states import TaskState
from manager.scheduler.service_spread import Spread
from manager.store.state import Event, State

HostPort = tuple[str, int, str]
Named = tuple[str, str]
K = TypeVar("K", bound=Hashable)
_FAILURES = (TaskState.FAILED, TaskState.REJECTED)
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


NOTHING = Need()
"""Of most tasks: then nothing is kept but their number."""


@dataclass(slots=True)
class NodeLoad:
    """What one node's tasks take together, those that take something."""

    tasks: int = 0
    nano_cpus: int = 0
    memory_bytes: int = 0
    discrete: dict[str, int] = field(default_factory=dict)
    named: dict[Named, int] = field(default_factory=dict)
    host_ports: dict[HostPort, int] = field(default_factory=dict)

    def holds(self, port: HostPort) -> bool:
        """Whether a port is taken: at its address, or, when one of the two is at every address, at any."""
        protocol, number, address = port
        if address:
            return port in self.host_ports or (protocol, number, "") in self.host_ports
        return any(held[:2] == (protocol, number) for held in self.host_ports)

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

    def note(self, ids: Iterable[str]) -> None:
        """Nodes have changed."""
        if len(self._ids) >= JOURNAL:
            self._start, self._ids = self.end, []
        self._ids.extend(ids)

    def since(self, place: int) -> list[str] | None:
        """What was noted from there on; None when that is forgotten."""
        return self._ids[place - self._start :] if place >= self._start else None


class Load:
    """A view of the state: the load of every node, and where services keep failing."""

    def __init__(self, state: State) -> None:
        self.tasks: dict[str, int] = {}
        """By node: how many tasks."""
        self.nodes: dict[str, NodeLoad] = {}
        """By node: what the tasks that take something take."""
        self.services: dict[str, Spread] = {}
        """By service: on which nodes its tasks are."""
        self.journal = Journal()
        """Nodes with another load."""
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

    def lay(self, service_id: str, ids: Sequence[str], had: int) -> None:
        """Each of the nodes, that had so many of a service's tasks, has one more."""
        if (spread := self.services.get(service_id)) is None:
            spread = self.services[service_id] = Spread()
        spread.move(ids, had, had + 1)
        tasks = self.tasks
        for id in ids:
            tasks[id] = tasks.get(id, 0) + 1
        self.journal.note(ids)

    def lift(self, service_id: str, ids: Sequence[str], had: int) -> None:
        """Each of the nodes, that had so many of a service's tasks, has one less."""
        spread, tasks = self.services[service_id], self.tasks
        spread.move(ids, had, had - 1)
        if not spread.counts:
            del self.services[service_id]
        for id in ids:
            if tasks[id] > 1:
                tasks[id] -= 1
            else:
                del tasks[id]
        self.journal.note(ids)

    def take(self, task: Task, need: Need) -> NodeLoad:
        """A task takes what it needs of its node."""
        if (node := self.nodes.get(task.node_id)) is None:
            node = self.nodes[task.node_id] = NodeLoad()
        node.add(task, need)
        return node

    def give_back(self, task: Task, need: Need) -> None:
        """A task needs it no more."""
        node = self.nodes[task.node_id]
        node.add(task, need, -1)
        if not node.tasks:
            del self.nodes[task.node_id]

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
                self._remove(event.id)
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
            need = self._needs[id] = need_of(revision.spec) if revision else NOTHING
        return need

    def _weigh(self, task: Task) -> None:
        before = self._placed.get(task.id)
        weighs = bool(task.node_id) and task.state is TaskState.ASSIGNED and not self._state.has_ended(task)
        if before is not None:
            if weighs and _same_weight(before[0], task):
                return
            self._remove(task.id)
        if weighs:
            need = self.need_of(task)
            self._placed[task.id] = (task, need)
            self._shift(task, +1)
            if need is not NOTHING or task.generic_resources:
                self.take(task, need)

    def _remove(self, task_id: str) -> None:
        if (placed := self._placed.pop(task_id, None)) is not None:
            task, need = placed
            self._shift(task, -1)
            if need is not NOTHING or task.generic_resources:
                self.give_back(task, need)

    def _shift(self, task: Task, by: int) -> None:
        if (spread := self.services.get(task.service_id)) is None:
            spread = self.services[task.service_id] = Spread()
        spread.shift(task.node_id, by)
        if not spread.counts:
            del self.services[task.service_id]
        count(self.tasks, task.node_id, by)
        self.journal.note((task.node_id,))

    def _note_failure(self, task: Task, old: Any, new: Any) -> None:
        if not isinstance(new, TaskStatus) or new.state not in _FAILURES or not task.node_id:
            return
        if not isinstance(old, TaskStatus) or old.state not in _FAILURES:
            by_node = self._failures[task.service_id, task.revision]
            by_node.setdefault(task.node_id, []).append(new.timestamp)


def need_of(spec: ServiceSpec) -> Need:
    """What each task of a service takes from its node."""
    resources = spec.task_template.resources or Resources()
    host_ports = tuple(
        (port.protocol, port.published_port, port.host_ip) for port in spec.host_ports if port.published_port
    )
    wanted = resources.reservations
    if wanted is None:
        return Need(host_ports=host_ports) if host_ports else NOTHING
    kinds: Counter[str] = Counter()
    named: list[Named] = []
    for generic in wanted.generic_resources:
        if generic.discrete_resource_spec:
            kinds[generic.discrete_resource_spec.kind] += generic.discrete_resource_spec.value
        elif generic.named_resource_spec:
            named.append((generic.named_resource_spec.kind, generic.named_resource_spec.value))
    need = Need(wanted.nano_cpus, wanted.memory_bytes, tuple(kinds.items()), tuple(named), host_ports)
    return NOTHING if need == NOTHING else need


def _same_weight(old: Task, new: Task) -> bool:
    return old.node_id == new.node_id and old.generic_resources == new.generic_resources


def count(counts: dict[K, int], key: K, amount: int) -> None:
    """Add to a count; none at all leaves no key."""
    if number := counts.get(key, 0) + amount:
        counts[key] = number
    else:
        del counts[key]
