"""The kinds of stored objects: the key prefix and the type of each.

Each key has one kind of writer. *Wanted* objects are written by the API on any manager, by compare-and-swap on the
version that was read. *Decided* objects are written by the leader, fenced. *Observed* objects are written by the
dispatcher for an agent, and the last value wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from api.codec import Value
from api.objects.decided import NetworkDecision, NodeDecision, Revision, ServiceDecision, Task
from api.objects.observed import (
    AppliedRevision,
    Leadership,
    LiveManager,
    NodeDescription,
    NodeSession,
    Suspicions,
    TaskStatus,
)
from api.objects.wanted import Certificate, Claim, Cluster, Config, Network, Node, Secret, Service

T = TypeVar("T", bound=Value)


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[T]):
    """A kind of key: /argosy/<name>/<id>. There is one object of each, so they compare by identity."""

    name: str
    type: type[T]


CLUSTER = Kind("wanted/cluster", Cluster)
NODE = Kind("wanted/nodes", Node)
CERTIFICATE = Kind("wanted/certificates", Certificate)
SERVICE = Kind("wanted/services", Service)
NETWORK = Kind("wanted/networks", Network)
SECRET = Kind("wanted/secrets", Secret)
CONFIG = Kind("wanted/configs", Config)
CLAIM = Kind("wanted/names", Claim)
REVISION = Kind("decided/revisions", Revision)
TASK = Kind("decided/tasks", Task)
NETWORK_DECISION = Kind("decided/networks", NetworkDecision)
SERVICE_DECISION = Kind("decided/services", ServiceDecision)
NODE_DECISION = Kind("decided/nodes", NodeDecision)
DESCRIPTION = Kind("observed/nodes", NodeDescription)
STATUS = Kind("observed/tasks", TaskStatus)
APPLIED_REVISION = Kind("observed/confirmations", AppliedRevision)
SESSION = Kind("sessions", NodeSession)
MEMBER = Kind("members", LiveManager)
SUSPICIONS = Kind("suspicions", Suspicions)
LEADERSHIP = Kind("leader", Leadership)


KINDS: tuple[Kind[Value], ...] = (
    CLUSTER, NODE, CERTIFICATE, SERVICE, NETWORK, SECRET, CONFIG, CLAIM,
    REVISION, TASK, NETWORK_DECISION, SERVICE_DECISION, NODE_DECISION,
    DESCRIPTION, STATUS, APPLIED_REVISION, SESSION, MEMBER, SUSPICIONS, LEADERSHIP,
)  # type: ignore[assignment]  # fmt: skip
DEFAULT_CLUSTER = "default"
CURRENT_LEADER = "current"


def revision_id(service_id: str, number: int) -> str:
    """Store id of a Revision."""
    return f"{service_id}.{number}"
