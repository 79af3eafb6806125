"""Observed objects: what agents and managers report; the last value wins. Times are Unix seconds."""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

from api.codec import Value
from api.reasons.reason import ORDINARY, Reason, text_only
from api.service.resources import Resources
from api.states import TaskState


class EngineDescription(Value, frozen=True):
    """What runs the node's containers."""

    engine_version: str = ""
    labels: dict[str, str] = {}


class NodeDescription(Value, frozen=True):
    """What a node reports about itself when it opens a session, and again after a change. Store id: the node's."""

    hostname: str = ""
    architecture: str = ""
    os: str = "linux"
    resources: Resources | None = None
    """`reservations` holds all resources of the node."""
    engine: EngineDescription = EngineDescription()
    address: str = ""
    """Address at which other hosts reach it (for VXLAN and the host port)."""
    host_port: int = 7946
    manager_port: int = 0
    """Port of its manager API; 0 on a worker."""
    images: list[str] = []
    """References and ids of the images it can give to others."""
    tags: dict[str, str] = {}
    """By "name:tag": the manifest's digest if the image came from a registry, else the image's id."""
    devices: list[str] = []
    """Devices in its CDI files: "vendor.com/class=name"."""
    troubles: list[str] = []
    """What does not work on it at the moment, one sentence each."""
    prefixes: list[str] = []
    """IPv4 networks of its own addresses and routes; the cluster's networks get no subnets there."""


class PortStatus(Value, frozen=True):
    """A host-mode port in use."""

    protocol: str
    target_port: int
    published_port: int
    host_ip: str = ""
    """The only host address on which the port is published; "" for all."""


class TaskStatus(Value, frozen=True):
    """A task's state as reported by its agent. Store id: the task's."""

    state: TaskState
    timestamp: float = 0.0
    old_message: str = msgspec.field(default="", name="Message")
    """As written before there were reasons; read into `reason`, as `old_error` is."""
    old_error: str = msgspec.field(default="", name="Error")
    container_id: str = ""
    pid: int = 0
    exit_code: int | None = None
    ports: list[PortStatus] = []
    started_at: float = 0.0
    """When it reached RUNNING; 0 if it has not."""
    closing: bool = False
    """Whether it takes no new connections, because it is ending, or is unhealthy and being stopped."""
    reason: Reason | None = None
    """What it is doing or waiting for; why it ended badly. None when the state says it all."""

    def __post_init__(self) -> None:
        if self.old_message or self.old_error:
            words = "" if self.old_message == ORDINARY.get(self.state, self.state.value) else self.old_message
            force_setattr(self, "reason", self.reason or text_only(self.old_error or words))
            force_setattr(self, "old_message", "")
            force_setattr(self, "old_error", "")


class NodeSession(Value, frozen=True):
    """The liveness key of a node's agent; bound to a lease. Store id: the node's."""

    manager_id: str = ""
    """Node id of the manager with the agent's session."""
    started_at: float = 0.0
    left: bool = False
    """Whether the agent has announced that it leaves, so that the node is down at once."""


class LiveManager(Value, frozen=True):
    """The liveness key of a manager; bound to a lease. Store id: the node's."""

    address: str = ""
    """host:port of its manager API."""
    started_at: float = 0.0
    host_address: str = ""
    """host:port of its host service, where agents open their sessions."""


class Suspicions(Value, frozen=True):
    """Hosts that do not answer a manager (manager/hosts/suspicion.py); bound to a lease. Store id: the manager's node
    id."""

    suspected: list[str] = []
    """Node ids of hosts on which neither the agent nor the kernel answers."""
    lost: list[str] = []
    """The suspected nodes that have not answered for so long that their tasks should be replaced."""


class AppliedRevision(Value, frozen=True):
    """The revision up to which a manager's hosts have applied network state. Store id: the manager's node id."""

    revision: int = 0
    """Every host with a session there has applied the network state of this revision, or of a later one."""


class Leadership(Value, frozen=True):
    """The leader's key; bound to a lease, never changed after its creation. Store id: "current"."""

    node_id: str
    since: float = 0.0
