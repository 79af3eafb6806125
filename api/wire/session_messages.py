"""The messages of an agent's session with a manager, over gRPC.

Everything runs over mTLS; who calls is told by the certificate. Every host serves `Host` on its host port (7946).
Managers serve `Dispatcher` there too. Certificates carry the node id as CN, the role as OU, and both as DNS names, so
that a caller can insist on a certain node ("<node id>") or on any manager ("swarm-manager"), whatever its address.
"""

from __future__ import annotations

from api.codec import Value
from api.objects.observed import NodeDescription, TaskStatus
from api.states import Role
from api.wire.assignments import Assignment, AssignmentKey

MANAGER_NAME = "swarm-manager"

# Dispatcher.Session: one stream of AgentMessage up, one of ManagerMessage down.


class Hello(Value, frozen=True, tag="hello"):
    """First message of a session, and again when the description changes."""

    description: NodeDescription


class Heartbeat(Value, frozen=True, tag="heartbeat"):
    """Sent every period, and when assignments have come into force; any message counts as a sign of life."""

    in_force: int = 0
    """Number of the newest Assignments that traffic on the host follows (its DNS and load balancing); 0: none yet."""


class Statuses(Value, frozen=True, tag="statuses"):
    """Newest status per task, to be answered by Accepted with the same number."""

    number: int
    statuses: dict[str, TaskStatus]


class Goodbye(Value, frozen=True, tag="goodbye"):
    """The node leaves the cluster: it is down from now on. The manager ends the session."""


AgentMessage = Hello | Heartbeat | Statuses | Goodbye


class SessionInfo(Value, frozen=True, tag="welcome"):
    """Answer to the first Hello, and again when the managers change."""

    period: float
    """Seconds between heartbeats."""
    managers: list[str] = []
    """"address:host_port" of every manager alive."""
    apis: list[str] = []
    """"address:port" of their manager APIs."""
    role: Role | None = None
    """What this node is wanted to be; another role than its certificate's is a reason to renew that now."""
    ids: dict[str, str] = {}
    """The managers' node ids, by the addresses in `managers`: whose certificate is to be expected there."""


class Part(Value, frozen=True, tag="part"):
    """What belongs to the Assignments that come next, when all of it is too much for one message. Nothing of it is
    acted on before they have come.
    """

    put: list[Assignment] = []
    remove: list[AssignmentKey] = []


class Assignments(Value, frozen=True, tag="assignments"):
    """The whole set (`full`), or what differs from what was sent before. Numbers count from 1 without a gap.

    Parts that came before it belong to it.
    """

    number: int
    full: bool = False
    put: list[Assignment] = []
    remove: list[AssignmentKey] = []


class Accepted(Value, frozen=True, tag="accepted"):
    """The statuses of that number are in the store."""

    number: int


ManagerMessage = SessionInfo | Part | Assignments | Accepted


DISPATCHER = "argosy.Dispatcher"
SESSION_METHOD = f"/{DISPATCHER}/Session"
