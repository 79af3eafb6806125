"""The `deploy` part of the project model, and the base class of all its parts."""

from __future__ import annotations

from typing import Literal

import msgspec


class Model(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base class. Encoding omits defaults; decoding refuses unknown fields, so that no attribute is lost."""


class Update(Model, frozen=True):
    """How an update or rollback proceeds."""

    parallelism: int | None = None
    delay: int = 0
    failure_action: Literal["", "pause", "continue", "rollback"] = ""
    monitor: int | None = None
    max_failure_ratio: float = 0.0
    order: Literal["", "stop-first", "start-first"] = ""


class Discrete(Model, frozen=True):
    """A number of units of one kind of generic resource."""

    kind: str
    value: int


class Generic(Model, frozen=True):
    """A generic resource."""

    discrete_resource_spec: Discrete | None = None


class DeviceRequest(Model, frozen=True):
    """Devices by capability. A count of -1 means all of them."""

    capabilities: list[str] = []
    count: int | None = None
    device_ids: list[str] = []
    driver: str = ""


class Limits(Model, frozen=True):
    """Upper bounds of resources; 0 is unlimited."""

    cpus: float = 0.0
    memory: int = 0
    pids: int = 0


class Reservations(Model, frozen=True):
    """Resources a node must have free."""

    cpus: float = 0.0
    memory: int = 0
    generic_resources: list[Generic] = []
    devices: list[DeviceRequest] = []


class Resources(Model, frozen=True):
    """Limits and reservations."""

    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(Model, frozen=True):
    """When an ended task is replaced."""

    condition: Literal["", "none", "on-failure", "any"] = ""
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None


class Preference(Model, frozen=True):
    """Spread tasks over the values of a node label."""

    spread: str


class Placement(Model, frozen=True):
    """Which nodes can run the service."""

    constraints: list[str] = []
    preferences: list[Preference] = []
    max_replicas_per_node: int = 0


class Schedule(Model, frozen=True):
    """When a job runs. Durations in nanoseconds."""

    cron: str = ""
    timezone: str = ""
    overlap: Literal["", "allow", "forbid", "replace"] = ""
    missed_window: int | None = None
    active_deadline: int | None = None
    history: int | None = None
    suspend: bool = False


class Deploy(Model, frozen=True):
    """How a service runs on the cluster."""

    mode: str = "replicated"
    endpoint_mode: Literal["", "vip", "dnsrr"] = ""
    replicas: int | None = None
    labels: dict[str, str | None] = {}
    update_config: Update | None = None
    rollback_config: Update | None = None
    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None
