"""What every node has on it: an index of the state, so that placing a task costs no look at the other tasks.

A task weighs on its node from when it is assigned until it has ended. What it takes is read from its revision once and
remembered with it: double news of a task is harmless. Which nodes have changed is noted, for those who keep nodes in
order. What a round of the scheduler plans is no part of it (scheduling_round.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from api.objects.decided import Task
from api.objects.kinds import REVISION, STATUS, TASK, revision_id
from api.service.resources import Resources
from api.service.service_spec import ServiceSpec
from api.states import TaskState
from kit.change_log import ChangeLog
from manager.scheduler.service_spread import Spread
from manager.store.state import Event, State

HostPort = tuple[str, int, str]
Named = tuple[str, str]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Demand:
    """What one task of a revision takes from its node."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[tuple[str, int], ...] = ()
    """How many of each kind."""
    generic_named: tuple[Named, ...] = ()
    host_ports: tuple[HostPort, ...] = ()


NOTHING = Demand()
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

    def copy(self) -> NodeLoad:
        """One that can be changed without changing this."""
        return replace(self, discrete={**self.discrete}, named={**self.named}, host_ports={**self.host_ports})

    def add(self, task: Task, demand: Demand, sign: int = 1) -> None:
        """Put a task on it, or take it off."""
        self.tasks += sign
        self.nano_cpus += sign * demand.nano_cpus
        self.memory_bytes += sign * demand.memory_bytes
        for port in demand.host_ports:
            count(self.host_ports, port, sign)
        for given in task.generic_resources:
            if given.discrete_resource_spec:
                count(self.discrete, given.discrete_resource_spec.kind, sign * given.discrete_resource_spec.value)
            elif given.named_resource_spec:
                count(self.named, (given.named_resource_spec.kind, given.named_resource_spec.value), sign)


EMPTY = NodeLoad()


class Load:
    """An index of the state: the load of every node, and where every service is."""

    def __init__(self, state: State) -> None:
        self.tasks: dict[str, int] = {}
        """By node: how many tasks."""
        self.nodes: dict[str, NodeLoad] = {}
        """By node: what the tasks that take something take."""
        self.services: dict[str, Spread] = {}
        """By service: on which nodes its tasks are."""
        self.changed = ChangeLog()
        """Nodes with another load."""
        self._state = state
        self._demands: dict[str, Demand] = {}
        self._placed: dict[str, tuple[Task, Demand]] = {}
        for task in state.tasks.values():
            self._weigh(task)

    def of(self, node_id: str) -> NodeLoad:
        """A node's load; not to be changed."""
        return self.nodes.get(node_id, EMPTY)

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
        elif event.kind is REVISION:
            self._demands.pop(event.id, None)

    def demand_of(self, task: Task) -> Demand:
        """What a task takes from its node."""
        id = revision_id(task.service_id, task.revision)
        demand = self._demands.get(id)
        if demand is None:
            revision = self._state.table(REVISION).get(id)
            demand = self._demands[id] = demand_of(revision.spec) if revision else NOTHING
        return demand

    def _weigh(self, task: Task) -> None:
        before = self._placed.get(task.id)
        weighs = bool(task.node_id) and task.state is TaskState.ASSIGNED and not self._state.has_ended(task)
        if before is not None:
            if weighs and _same_weight(before[0], task):
                return
            self._remove(task.id)
        if weighs:
            demand = self.demand_of(task)
            self._placed[task.id] = (task, demand)
            self._shift(task, +1)
            if demand is not NOTHING or task.generic_resources:
                self._take(task, demand)

    def _remove(self, task_id: str) -> None:
        if (placed := self._placed.pop(task_id, None)) is not None:
            task, demand = placed
            self._shift(task, -1)
            if demand is not NOTHING or task.generic_resources:
                self._give_back(task, demand)

    def _shift(self, task: Task, by: int) -> None:
        if (spread := self.services.get(task.service_id)) is None:
            spread = self.services[task.service_id] = Spread()
        spread.shift(task.node_id, by)
        if not spread.counts:
            del self.services[task.service_id]
        count(self.tasks, task.node_id, by)
        self.changed.note((task.node_id,))

    def _take(self, task: Task, demand: Demand) -> None:
        if (node := self.nodes.get(task.node_id)) is None:
            node = self.nodes[task.node_id] = NodeLoad()
        node.add(task, demand)

    def _give_back(self, task: Task, demand: Demand) -> None:
        node = self.nodes[task.node_id]
        node.add(task, demand, -1)
        if not node.tasks:
            del self.nodes[task.node_id]


def demand_of(spec: ServiceSpec) -> Demand:
    """What each task of a service takes from its node."""
    resources = spec.task_template.resources or Resources()
    host_ports = tuple(
        (port.protocol, port.published_port, port.host_ip) for port in spec.host_ports if port.published_port
    )
    wanted = resources.reservations
    if wanted is None:
        return Demand(host_ports=host_ports) if host_ports else NOTHING
    kinds: Counter[str] = Counter()
    named: list[Named] = []
    for generic in wanted.generic_resources:
        if generic.discrete_resource_spec:
            kinds[generic.discrete_resource_spec.kind] += generic.discrete_resource_spec.value
        elif generic.named_resource_spec:
            named.append((generic.named_resource_spec.kind, generic.named_resource_spec.value))
    demand = Demand(wanted.nano_cpus, wanted.memory_bytes, tuple(kinds.items()), tuple(named), host_ports)
    return NOTHING if demand == NOTHING else demand


def _same_weight(old: Task, new: Task) -> bool:
    return old.node_id == new.node_id and old.generic_resources == new.generic_resources


def count(counts: dict[K, int], key: K, amount: int) -> None:
    """Add to a count; none at all leaves no key."""
    if number := counts.get(key, 0) + amount:
        counts[key] = number
    else:
        del counts[key]
