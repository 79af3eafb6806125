"""The messages of an agent's session with a manager, over gRPC.

Everything runs over mTLS; the certificate identifies the caller. Every host serves `Host` on its host port (7946).
Managers serve `Dispatcher` there too. Certificates carry the node id as CN, the role as OU, and both as DNS names, so
that a caller can require a certain node ("<node id>") or any manager ("swarm-manager"), whatever its address.
"""

from __future__ import annotations

from api.codec import Value
from api.objects.observed import NodeDescription, TaskStatus
from api.states import Role
from api.wire.assignments import Assignment, AssignmentKey

MANAGER_NAME = "swarm-manager"

# Dispatcher.Session: one stream of AgentMessage up, one of ManagerMessage down.


class Hello(Value, frozen=True, tag="hello"):
    """First message of a session; sent again when the description changes."""

    description: NodeDescription


class Heartbeat(Value, frozen=True, tag="heartbeat"):
    """Sent once per period, and when assignments have been applied. Any other message counts as a sign of life, too."""

    in_force: int = 0
    """Number of the newest Assignments that the host's networks have applied (DNS and load balancing); 0 for none."""


class Statuses(Value, frozen=True, tag="statuses"):
    """The newest status of each task; answered by Accepted with the same number."""

    number: int
    statuses: dict[str, TaskStatus]


class Goodbye(Value, frozen=True, tag="goodbye"):
    """The node leaves the cluster, so it is down at once. The manager ends the session."""


AgentMessage = Hello | Heartbeat | Statuses | Goodbye


class SessionInfo(Value, frozen=True, tag="welcome"):
    """Answer to the first Hello; sent again when it changes."""

    period: float
    """Seconds between heartbeats."""
    managers: list[str] = []
    """"address:host_port" of every living manager."""
    apis: list[str] = []
    """"address:port" of their manager APIs."""
    role: Role | None = None
    """The node's wanted role. If its certificate has another one, the node renews the certificate at once."""
    ids: dict[str, str] = {}
    """The managers' node ids by address in `managers`, to check the certificate at that address."""


class Part(Value, frozen=True, tag="part"):
    """A part of the next Assignments, when these are too large for one message. The agent does not act on it before the
    Assignments have arrived.
    """

    put: list[Assignment] = []
    remove: list[AssignmentKey] = []


class Assignments(Value, frozen=True, tag="assignments"):
    """The whole set (`full`), or the difference to what was sent before. Numbers count from 1 without a gap.

    The Parts sent before it belong to it.
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
