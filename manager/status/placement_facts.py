"""What helps against the scheduler's refusals: each part of its message, answered with this service's own values. Pure.

The messages are manager/scheduler/filters.py's. Part of manager/status/task_verdict.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from api.errors import Invalid
from api.objects.node_matching import matches
from api.objects.wanted import Node
from api.service.placement import parse
from api.service.resources import Reservations
from api.service.service_spec import ServiceSpec
from api.states import Availability, NodeState
from manager.store.lookup import hostname
from manager.store.state import State

_MOST_NAMED = 3
"""Nodes that are named; a long list helps nobody."""
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


def remedy(state: State, spec: ServiceSpec, reason: str) -> str:
    """What to do about a pending task's message."""
    found = [answer(state, spec) for text, answer in _ANSWERS if text in reason]
    if found:
        return "; or ".join(found)
    usable = any(_is_usable(state, node) for node in state.nodes.values())
    return "wait a moment" if usable else f"there is no node that is ready and active: {_unavailable(state, spec)}"


def _resources(_: State, spec: ServiceSpec) -> str:
    wanted = spec.task_template.resources.reservations if spec.task_template.resources else None
    what = f" than {_amounts(wanted)}" if wanted else ""
    return f"reserve less{what}, stop something, or add a node: `argosy node ls`"


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


def _constraints(state: State, spec: ServiceSpec) -> str:
    asked = spec.task_template.placement.constraints if spec.task_template.placement else []
    nodes = [node for node in state.nodes.values() if _is_usable(state, node)]
    unmet = [
        one for one in asked if not any(matches([one], node, state.descriptions.get(node.id)) for node in nodes)
    ] or asked
    label = next((text for text in map(_as_label, unmet) if text), "")
    how = f"`argosy node update --label-add {label or 'KEY=VALUE'} NODE`"
    return f"change the constraints ({', '.join(unmet)}), or label a node: {how}"


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


def _ports(_: State, spec: ServiceSpec) -> str:
    taken = ", ".join(f"{port.published_port}/{port.protocol}" for port in spec.host_ports)
    return f"publish another port than {taken}, free it, or publish through the mesh (mode ingress)"


def _maximum(_: State, spec: ServiceSpec) -> str:
    most = spec.task_template.placement.max_replicas if spec.task_template.placement else 0
    how = f"`argosy service update --replicas-max-per-node {most + 1} {spec.name}`"
    return f"raise the maximum per node (it is {most}): {how}, or add a node"


def _unavailable(state: State, _: ServiceSpec) -> str:
    out = [node for node in state.nodes.values() if not _is_usable(state, node)]
    out.sort(key=lambda node: hostname(state, node.id))
    named = [f"{hostname(state, node.id) or node.id} is {_condition(state, node)}" for node in out[:_MOST_NAMED]]
    if len(out) > _MOST_NAMED:
        named.append(f"{len(out) - _MOST_NAMED} more are not available either")
    told = f" ({', '.join(named)})" if named else ""
    return f"start a node or set it active: `argosy node update --availability active NODE`{told}"


def _condition(state: State, node: Node) -> str:
    ready = state.node_state(node.id)
    if ready is not NodeState.READY:
        return str(ready.value)
    return {Availability.PAUSE: "paused", Availability.DRAIN: "drained"}.get(node.spec.availability, "active")


def _is_usable(state: State, node: Node) -> bool:
    return state.node_state(node.id) is NodeState.READY and node.spec.availability is Availability.ACTIVE


_ANSWERS: tuple[tuple[str, Callable[[State, ServiceSpec], str]], ...] = (
    ("insufficient resources", _resources),
    ("constraints not satisfied", _constraints),
    ("unsupported platform", lambda *_: "use an image built for these machines, or add a node of its platform"),
    ("not offered", lambda *_: "name the device in a CDI file (/etc/cdi) of a node that has it, or ask for another"),
    ("host-mode port", _ports),
    ("max replicas per node", _maximum),
    ("not available for new tasks", _unavailable),
)
"""A part of the scheduler's explanation, and who knows what helps against it."""
