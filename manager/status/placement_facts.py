"""Facts about a service's requirements and the nodes, added to the reasons why no node takes its tasks. Pure.

With them `api/reasons/remedies` can name the service's own values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from api.errors import Invalid
from api.objects.node_matching import matches
from api.objects.wanted import Node
from api.reasons.reason import Code, Fact, Reason
from api.service.placement import parse
from api.service.resources import Reservations
from api.service.service_spec import ServiceSpec
from api.states import Availability, NodeState
from manager.store.lookup import hostname
from manager.store.state import State

_MOST_NAMED = 3
"""Nodes that are named; a longer list does not help."""
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
Facts = dict[str, Fact]


def with_facts(state: State, spec: ServiceSpec, reason: Reason) -> Reason:
    """The reason why a task of the spec has no node, with facts that explain it."""
    if reason.code not in (Code.NO_SUITABLE_NODE, Code.WAITING_FOR_NODE):
        return reason
    because, facts = [_with_facts(state, spec, one) for one in reason.because], reason.facts
    if not because and not any(_is_usable(state, node) for node in state.nodes.values()):
        facts = {**facts, **_unavailable(state, spec)}
    return Reason(reason.code, facts, because)


def _with_facts(state: State, spec: ServiceSpec, reason: Reason) -> Reason:
    more = _FACTS.get(reason.code)
    return Reason(reason.code, {**reason.facts, **more(state, spec)}, reason.because) if more else reason


def _resources(_: State, spec: ServiceSpec) -> Facts:
    wanted = spec.task_template.resources.reservations if spec.task_template.resources else None
    return {"reserved": _amounts(wanted)} if wanted else {}


def _amounts(wanted: Reservations) -> str:
    parts = []
    if wanted.nano_cpus:
        parts.append(f"{wanted.nano_cpus / 1e9:g} CPUs")
    if wanted.memory_bytes:
        unit, name = (_GIB, "GiB") if wanted.memory_bytes >= _GIB else (_MIB, "MiB")
        parts.append(f"{wanted.memory_bytes / unit:g} {name} of memory")
    for item in wanted.generic_resources:
        if counted := item.discrete_resource_spec:
            parts.append(f"{counted.value} {counted.kind}")
        elif named := item.named_resource_spec:
            parts.append(f"{named.kind}={named.value}")
    return ", ".join(parts)


def _constraints(state: State, spec: ServiceSpec) -> Facts:
    """Constraints that no usable node meets (all of them if each is met by some node), and a label that would help."""
    asked = spec.task_template.placement.constraints if spec.task_template.placement else []
    nodes = [node for node in state.nodes.values() if _is_usable(state, node)]
    unmet = [
        one for one in asked if not any(matches([one], node, state.descriptions.get(node.id)) for node in nodes)
    ] or asked
    label = next((text for text in map(_as_label, unmet) if text), "")
    return {"unmet": ", ".join(unmet), "label": label}


def _as_label(constraint: str) -> str:
    """KEY=VALUE of "node.labels.KEY == VALUE"; "" for other constraints."""
    try:
        (one,) = parse([constraint])
    except Invalid:
        return ""
    prefix = "node.labels."
    if not one.key.lower().startswith(prefix) or not one.equal:
        return ""
    return f"{one.key[len(prefix) :]}={one.value}"


def _ports(_: State, spec: ServiceSpec) -> Facts:
    return {"ports": ", ".join(f"{port.published_port}/{port.protocol}" for port in spec.host_ports)}


def _maximum(_: State, spec: ServiceSpec) -> Facts:
    most = spec.task_template.placement.max_replicas if spec.task_template.placement else 0
    return {"most": most, "service": spec.name}


def _unavailable(state: State, _: ServiceSpec) -> Facts:
    out = [node for node in state.nodes.values() if not _is_usable(state, node)]
    out.sort(key=lambda node: hostname(state, node.id))
    named = [f"{hostname(state, node.id) or node.id} is {_condition(state, node)}" for node in out[:_MOST_NAMED]]
    if len(out) > _MOST_NAMED:
        named.append(f"{len(out) - _MOST_NAMED} more are not available either")
    return {"named": ", ".join(named)}


def _condition(state: State, node: Node) -> str:
    ready = state.node_state(node.id)
    if ready is not NodeState.READY:
        return str(ready.value)
    return {Availability.PAUSE: "paused", Availability.DRAIN: "drained"}.get(node.spec.availability, "active")


def _is_usable(state: State, node: Node) -> bool:
    return state.node_state(node.id) is NodeState.READY and node.spec.availability is Availability.ACTIVE


_FACTS: dict[Code, Callable[[State, ServiceSpec], Facts]] = {
    Code.INSUFFICIENT_RESOURCES: _resources,
    Code.CONSTRAINTS_NOT_SATISFIED: _constraints,
    Code.HOST_PORT_IN_USE: _ports,
    Code.MAX_REPLICAS_PER_NODE: _maximum,
    Code.NODE_UNAVAILABLE: _unavailable,
}
