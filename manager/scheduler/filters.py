"""The filters: a table of the checks a node must pass to take a task. Each can say how many nodes it refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from api.objects.node_matching import matches, runs_on
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.reasons.reason import Code, Fact, Reason, reason
from api.service.host_config import devices_text, offers_devices
from api.service.placement import Placement
from manager.scheduler import generic_resources
from manager.scheduler.task_group import Candidate, TaskGroup


@dataclass(frozen=True, slots=True)
class Filter:
    """One check."""

    applies: Callable[[TaskGroup], bool]
    """Whether the group has this requirement at all; if not, every node passes."""
    passes: Callable[[TaskGroup, Candidate], bool]
    code: Code
    """The reason given for nodes that it refused."""
    uses_up: bool = False
    """Whether placing one task may make the node refuse the next. Node pools do not depend on such checks."""
    facts: Callable[[TaskGroup], dict[str, Fact]] = lambda _: {}
    """Facts of the reason besides the number of nodes."""

    def explain(self, group: TaskGroup, nodes: int) -> Reason:
        """The reason that `nodes` nodes were refused."""
        return reason(self.code, nodes=nodes, **self.facts(group))


def _has_resources(group: TaskGroup, node: Candidate) -> bool:
    offered = node.seen.resources.reservations if node.seen.resources else None
    demand, load = group.demand, node.load
    if demand.nano_cpus and (offered is None or offered.nano_cpus - load.nano_cpus < demand.nano_cpus):
        return False
    if demand.memory_bytes and (offered is None or offered.memory_bytes - load.memory_bytes < demand.memory_bytes):
        return False
    return generic_resources.fits(demand, node.seen, load)


def meets_fixed_requirements(placement: Placement, node: Node, seen: NodeDescription) -> bool:
    """Whether a node meets the requirements that no task on it can change: constraints and platforms."""
    return matches(placement.constraints, node, seen) and runs_on(placement, seen)


FILTERS = (
    Filter(
        applies=lambda _: True,
        passes=lambda _, node: node.ready,
        code=Code.NODE_UNAVAILABLE,
    ),
    Filter(
        applies=lambda group: bool(
            group.demand.nano_cpus or group.demand.memory_bytes or group.demand.generic or group.demand.generic_named
        ),
        passes=_has_resources,
        code=Code.INSUFFICIENT_RESOURCES,
        uses_up=True,
    ),
    Filter(
        applies=lambda group: bool(group.placement.constraints),
        passes=lambda group, node: matches(group.placement.constraints, node.node, node.seen),
        code=Code.CONSTRAINTS_NOT_SATISFIED,
    ),
    Filter(
        applies=lambda group: bool(group.placement.platforms),
        passes=lambda group, node: runs_on(group.placement, node.seen),
        code=Code.UNSUPPORTED_PLATFORM,
    ),
    Filter(
        applies=lambda group: bool(group.devices),
        passes=lambda group, node: offers_devices(group.devices, node.seen.devices),
        code=Code.DEVICE_NOT_OFFERED,
        uses_up=True,
        facts=lambda group: {"devices": devices_text(group.devices)},
    ),
    Filter(
        applies=lambda group: bool(group.demand.host_ports),
        passes=lambda group, node: not any(map(node.load.holds, group.demand.host_ports)),
        code=Code.HOST_PORT_IN_USE,
        uses_up=True,
    ),
    Filter(
        applies=lambda group: group.placement.max_replicas > 0,
        passes=lambda group, node: group.spread.counts.get(node.id, 0) < group.placement.max_replicas,
        code=Code.MAX_REPLICAS_PER_NODE,
        uses_up=True,
    ),
)

_USING_UP = tuple(check for check in FILTERS if check.uses_up)


class Pipeline:
    """The checks that apply to a group."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._using_up = [check for check in _USING_UP if check.applies(group)]

    @property
    def is_unlimited(self) -> bool:
        """Whether a node of the group's pool can take any number of tasks."""
        return not self._using_up

    def has_room(self, node: Candidate) -> bool:
        """Whether a node of the group's pool can take one more task, with the tasks it has now."""
        return self.is_unlimited or all(check.passes(self._group, node) for check in self._using_up)

    def refusal(self, node: Candidate) -> int:
        """The index in FILTERS of the first check that refuses the node; `len(FILTERS)` if none does."""
        group = self._group
        for place, check in self._all:
            if not check.passes(group, node):
                return place
        return len(FILTERS)

    @cached_property
    def _all(self) -> list[tuple[int, Filter]]:
        return [(place, check) for place, check in enumerate(FILTERS) if check.applies(self._group)]

    def explain(self, refused: Mapping[int, int]) -> Reason:
        """Why no node is found, the most frequent refusal first. `refused`: number of nodes by index in FILTERS."""
        order = sorted(refused, key=refused.__getitem__, reverse=True)
        return reason(Code.NO_SUITABLE_NODE, *(FILTERS[place].explain(self._group, refused[place]) for place in order))
