"""What agents and managers report; the last value wins. Times are Unix seconds."""

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
    """What a node says of itself when it opens a session, and again when it changes. Store id: the node's."""

    hostname: str = ""
    architecture: str = ""
    os: str = "linux"
    resources: Resources | None = None
    """In `reservations`: all the node has."""
    engine: EngineDescription = EngineDescription()
    address: str = ""
    """Where the other hosts reach it (VXLAN and the host port)."""
    host_port: int = 7946
    manager_port: int = 0
    """Port of its manager API; 0 on a worker."""
    images: list[str] = []
    """References and ids of the images it can give to others."""
    tags: dict[str, str] = {}
    """What each "name:tag" among them means: the manifest's digest if it came from a registry, else the image's id."""
    devices: list[str] = []
    """What its CDI files offer: "vendor.com/class=name"."""
    troubles: list[str] = []
    """What does not work on it at present, one sentence each."""
    prefixes: list[str] = []
    """IPv4 networks that its own addresses and routes lead to; no network of the cluster takes addresses there."""


class PortStatus(Value, frozen=True):
    """A host-mode port in use."""

    protocol: str
    target_port: int
    published_port: int
    host_ip: str = ""
    """The only address of the host it answers at."""


class TaskStatus(Value, frozen=True):
    """A task's state as its agent sees it. Store id: the task's."""

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
    """When it reached RUNNING; 0 when it never did."""
    closing: bool = False
    """It ends, or is unhealthy and being stopped: it takes no new connections, although it may still run."""
    reason: Reason | None = None
    """What it is doing or waiting for; why it ended badly. None when the state says it all."""

    def __post_init__(self) -> None:
        if self.old_message or self.old_error:
            words = "" if self.old_message == ORDINARY.get(self.state, self.state.value) else self.old_message
            force_setattr(self, "reason", self.reason or text_only(self.old_error or words))
            force_setattr(self, "old_message", "")
            force_setattr(self, "old_error", "")


class NodeSession(Value, frozen=True):
    """Says that a node's agent is alive; bound to a lease. Store id: the node's."""

    manager_id: str = ""
    """Node id of the manager that holds the agent's stream."""
    started_at: float = 0.0
    left: bool = False
    """The agent announced that it leaves: the node is down, and there is nothing to wait for."""


class LiveManager(Value, frozen=True):
    """A manager that is alive; bound to a lease. Store id: the node's."""

    address: str = ""
    """host:port of its manager API."""
    started_at: float = 0.0
    host_address: str = ""
    """host:port of its host service, where agents open their sessions."""


class Suspicions(Value, frozen=True):
    """Hosts that a manager gets no sign of life from (manager/hosts/suspicion.py); bound to a lease. Store id: the
    manager's node id."""

    suspected: list[str] = []
    """Node ids: neither the agent nor the host's kernel answers."""
    lost: list[str] = []
    """The suspected nodes that have been silent for so long that they are not expected back soon."""


class AppliedRevision(Value, frozen=True):
    """Up to which revision a manager's hosts have applied network state. Store id: the manager's node id."""

    revision: int = 0
    """Every host with a session there has applied the network state of this revision, or of a later one."""


class Leadership(Value, frozen=True):
    """Says which manager leads; bound to a lease, never changed once made. Store id: "current"."""

    node_id: str
    since: float = 0.0
