"""A node as its user wants it."""

from __future__ import annotations

from api.codec import Value
from api.field_rules import label_problems
from api.states import Availability, Role


class NodeSpec(Value, frozen=True):
    """What a user says of a node."""

    name: str = ""
    labels: dict[str, str] = {}
    role: Role = Role.WORKER
    availability: Availability = Availability.ACTIVE


def node_problems(spec: NodeSpec) -> list[str]:
    """What is wrong with a node's spec."""
    return list(label_problems("Labels", spec.labels))
