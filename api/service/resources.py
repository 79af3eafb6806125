"""What a task may use (limits) and what its node must have free (reservations)."""

from __future__ import annotations

from api.codec import Value


class NamedResource(Value, frozen=True):
    """One named generic resource (gpu=UUID1)."""

    kind: str = ""
    value: str = ""


class DiscreteResource(Value, frozen=True):
    """So many of a generic resource (gpu=2)."""

    kind: str = ""
    value: int = 0


class GenericResource(Value, frozen=True):
    """One of the two forms."""

    named_resource_spec: NamedResource | None = None
    discrete_resource_spec: DiscreteResource | None = None


class Limits(Value, frozen=True):
    """What a container cannot exceed; 0 is no limit."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0
    """0 is what the host gives, -1 is no limit."""


class Reservations(Value, frozen=True):
    """What a node must have free to take the task."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic_resources: list[GenericResource] = []


class Resources(Value, frozen=True):
    """Limits and reservations of a task."""

    limits: Limits | None = None
    reservations: Reservations | None = None
