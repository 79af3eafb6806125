"""Generic resources of a node: how many are free, and which of them a task gets. A kind is either counted or named."""

from __future__ import annotations

from api.objects.observed import NodeDescription
from api.service.resources import DiscreteResource, GenericResource, NamedResource
from manager.scheduler.node_load import Demand, NodeLoad


def wanted(demand: Demand) -> bool:
    """Whether a task asks for generic resources."""
    return bool(demand.generic or demand.generic_named)


def fits(demand: Demand, seen: NodeDescription, load: NodeLoad) -> bool:
    """Whether the generic resources that a task asks for are free on a node."""
    return not wanted(demand) or pick(demand, seen, load) is not None


def pick(demand: Demand, seen: NodeDescription, load: NodeLoad) -> list[GenericResource] | None:
    """The generic resources that a task gets; None if the node does not have them free."""
    free = _free_named(seen, load)
    got: list[GenericResource] = []
    for kind, value in demand.generic_named:
        if value not in free.get(kind, ()):
            return None
        free[kind].remove(value)
        got.append(_named(kind, value))
    for kind, number in demand.generic:
        if kind in free:
            if len(free[kind]) < number:
                return None
            got += [_named(kind, free[kind].pop(0)) for _ in range(number)]
        elif _discrete(seen, kind) - load.discrete.get(kind, 0) < number:
            return None
        else:
            got.append(GenericResource(discrete_resource_spec=DiscreteResource(kind, number)))
    return got


def _free_named(seen: NodeDescription, load: NodeLoad) -> dict[str, list[str]]:
    free: dict[str, list[str]] = {}
    for generic in _all(seen):
        if named := generic.named_resource_spec:
            values = free.setdefault(named.kind, [])
            if (named.kind, named.value) not in load.named:
                values.append(named.value)
    return free


def _discrete(seen: NodeDescription, kind: str) -> int:
    specs = (generic.discrete_resource_spec for generic in _all(seen))
    return sum(spec.value for spec in specs if spec and spec.kind == kind)


def _all(seen: NodeDescription) -> list[GenericResource]:
    offered = seen.resources.reservations if seen.resources else None
    return offered.generic_resources if offered else []


def _named(kind: str, value: str) -> GenericResource:
    return GenericResource(named_resource_spec=NamedResource(kind, value))
