"""What a node must fulfil to take a task: a table of checks, each of which can say how many nodes it refused.

The texts are swarmkit's (manager/scheduler/filter.go), which users and their scripts know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from api.constraints import architecture, matches
from manager.scheduler import generic
from manager.scheduler.group import Candidate, Group


@dataclass(frozen=True, slots=True)
class Filter:
    """One check."""

    applies: Callable[[Group], bool]
    """Whether the group asks for anything of the kind; if not, every node passes."""
    passes: Callable[[Group, Candidate], bool]
    one: str
    """What is said when it refused one node."""
    many: str
    """What is said when it refused {0} nodes."""
    uses_up: bool = False
    """Whether placing one task may make the node refuse the next."""

    def explain(self, nodes: int) -> str:
        """Why so many nodes were refused."""
        return self.one if nodes == 1 else self.many.format(nodes)


def _has_resources(group: Group, node: Candidate) -> bool:
    offered = node.seen.resources.reservations if node.seen.resources else None
    need, load = group.need, node.load
    if need.nano_cpus and (offered is None or offered.nano_cpus - load.nano_cpus < need.nano_cpus):
        return False
    if need.memory_bytes and (offered is None or offered.memory_bytes - load.memory_bytes < need.memory_bytes):
        return False
    return generic.fits(need, node.seen, load)


def _is_platform(group: Group, node: Candidate) -> bool:
    return any(
        (not wanted.os or wanted.os.lower() == node.seen.os.lower())
        and (not wanted.architecture or architecture(wanted.architecture) == architecture(node.seen.architecture))
        for wanted in group.placement.platforms
    )


FILTERS = (
    Filter(
        applies=lambda _: True,
        passes=lambda _, node: node.ready,
        one="1 node not available for new tasks",
        many="{0} nodes not available for new tasks",
    ),
    Filter(
        applies=lambda group: bool(
            group.need.nano_cpus or group.need.memory_bytes or group.need.generic or group.need.generic_named
        ),
        passes=_has_resources,
        one="insufficient resources on 1 node",
        many="insufficient resources on {0} nodes",
        uses_up=True,
    ),
    Filter(
        applies=lambda group: bool(group.placement.constraints),
        passes=lambda group, node: matches(group.placement.constraints, node.node, node.seen),
        one="scheduling constraints not satisfied on 1 node",
        many="scheduling constraints not satisfied on {0} nodes",
    ),
    Filter(
        applies=lambda group: bool(group.placement.platforms),
        passes=_is_platform,
        one="unsupported platform on 1 node",
        many="unsupported platform on {0} nodes",
    ),
    Filter(
        applies=lambda group: bool(group.need.host_ports),
        passes=lambda group, node: not any(port in node.load.host_ports for port in group.need.host_ports),
        one="host-mode port already in use on 1 node",
        many="host-mode port already in use on {0} nodes",
        uses_up=True,
    ),
    Filter(
        applies=lambda group: group.placement.max_replicas > 0,
        passes=lambda group, node: node.load.services.get(group.service_id, 0) < group.placement.max_replicas,
        one="max replicas per node limit exceed",
        many="max replicas per node limit exceed",
        uses_up=True,
    ),
)


class Pipeline:
    """The checks that matter to a group, and what they have refused so far."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._filters = [check for check in FILTERS if check.applies(group)]
        self._using_up = [check for check in self._filters if check.uses_up]
        self._refused: Counter[Filter] = Counter()

    def passes(self, node: Candidate) -> bool:
        """Whether a node can take a task of the group."""
        return self._check(self._filters, node)

    def still_passes(self, node: Candidate) -> bool:
        """The same for a node that has passed once, after a placement on it."""
        return self._check(self._using_up, node)

    def explain(self) -> str:
        """Why there is no node: the check that refused most comes first."""
        reasons = [check.explain(nodes) for check, nodes in self._refused.most_common()]
        return f"no suitable node ({'; '.join(reasons)})" if reasons else "no suitable node"

    def _check(self, filters: list[Filter], node: Candidate) -> bool:
        for check in filters:
            if not check.passes(self._group, node):
                self._refused[check] += 1
                return False
        return True
