"""Whether a node fulfils what a placement asks for: constraints by its attributes and labels, and its platform."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.service.placement import LABELS, Placement, architecture, compiled

_ATTRIBUTES: dict[str, Callable[[Node, NodeDescription], str]] = {
    "node.id": lambda node, _: node.id,
    "node.hostname": lambda _, seen: seen.hostname,
    "node.ip": lambda _, seen: seen.address,
    "node.role": lambda node, _: node.spec.role.value,
    "node.platform.os": lambda _, seen: seen.os,
    "node.platform.arch": lambda _, seen: architecture(seen.architecture),
}
_LABELS: dict[str, Callable[[Node, NodeDescription], dict[str, str]]] = {
    "node.labels.": lambda node, _: node.spec.labels,
    "engine.labels.": lambda _, seen: seen.engine.labels,
}
_NOTHING = NodeDescription(os="")


def matches(expressions: list[str], node: Node, seen: NodeDescription | None) -> bool:
    """Whether a node fulfils all of them. Expressions that do not parse are fulfilled by none."""
    if not expressions:
        return True
    constraints = compiled(tuple(expressions))
    return constraints is not None and all(one.accepts(attribute(one.key, node, seen)) for one in constraints)


def attribute(key: str, node: Node, seen: NodeDescription | None) -> str:
    """What a node has under a constraint key or spread descriptor; "" when nothing."""
    return _reader(key)(node, seen or _NOTHING)


def runs_on(placement: Placement | None, seen: NodeDescription | None) -> bool:
    """Whether a node is of one of the platforms; none asked for: any node; a node that says nothing: none."""
    if placement is None or not placement.platforms:
        return True
    return seen is not None and any(one.is_of(seen.os, seen.architecture) for one in placement.platforms)


@lru_cache(maxsize=4096)
def _reader(key: str) -> Callable[[Node, NodeDescription], str]:
    if find := _ATTRIBUTES.get(key.lower()):
        return find
    for prefix in LABELS:
        if key.lower().startswith(prefix):
            labels, label = _LABELS[prefix], key[len(prefix) :]
            return lambda node, seen: labels(node, seen).get(label, "")
    return lambda *_: ""
