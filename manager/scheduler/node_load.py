"""The load of every node: an index of the state, so that placing a task does not read the other tasks.

A task counts on its node from the moment it is assigned until it has ended. Its demand is read from its revision once
and stored with it, so an event that arrives twice does no harm. Nodes whose load changed are recorded in a change log
for the node rankings. The placements that a scheduling round plans are not included (scheduling_round.py).
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
    """The resources that one task of a revision takes from its node."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[tuple[str, int], ...] = ()
    """Number by kind."""
    generic_named: tuple[Named, ...] = ()
    host_ports: tuple[HostPort, ...] = ()


NOTHING = Demand()
"""The demand of most tasks; for these only their number is stored."""


@dataclass(slots=True)
class NodeLoad:
    """The sum of the demands of one node's tasks."""

    tasks: int = 0
    nano_cpus: int = 0
    memory_bytes: int = 0
    discrete: dict[str, int] = field(default_factory=dict)
    named: dict[Named, int] = field(default_factory=dict)
    host_ports: dict[HostPort, int] = field(default_factory=dict)

    def holds(self, port: HostPort) -> bool:
        """Whether a port is taken: at the same address, or at any address when either of the two is bound to all."""
        protocol, number, address = port
        if address:
            return port in self.host_ports or (protocol, number, "") in self.host_ports
        return any(held[:2] == (protocol, number) for held in self.host_ports)

    def copy(self) -> NodeLoad:
        """A copy that can be changed independently."""
        return replace(self, discrete={**self.discrete}, named={**self.named}, host_ports={**self.host_ports})

    def add(self, task: Task, demand: Demand, sign: int = 1) -> None:
        """Add the demand of a task (`sign` 1), or subtract it (-1)."""
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
    """An index of the state: the load of every node, and the spread of every service."""

    def __init__(self, state: State) -> None:
        self.tasks: dict[str, int] = {}
        """Number of tasks by node."""
        self.nodes: dict[str, NodeLoad] = {}
        """Sums by node, for nodes with tasks that have a demand."""
        self.services: dict[str, Spread] = {}
        """By service: how many of its tasks are on which node."""
        self.changed = ChangeLog()
        """Nodes whose load has changed."""
        self._state = state
        self._demands: dict[str, Demand] = {}
        self._placed: dict[str, tuple[Task, Demand]] = {}
        for task in state.tasks.values():
            self._weigh(task)

    def of(self, node_id: str) -> NodeLoad:
        """A node's load; callers must not change it."""
        return self.nodes.get(node_id, EMPTY)

    def follow(self, event: Event) -> None:
        """Update for a change of a task, its status or its revision."""
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
        """The demand of a task."""
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
    """The demand of each task of a service."""
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
    """Add to a count. A count of 0 is removed."""
    if number := counts.get(key, 0) + amount:
        counts[key] = number
    else:
        del counts[key]
