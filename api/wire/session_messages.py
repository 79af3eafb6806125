"""The gRPC messages and methods between hosts. Everything runs over mTLS; who calls is told by the certificate.

Every host serves `Host` on its host port (7946). Managers serve `Dispatcher` there too. Certificates carry the node id
as CN, the role as OU, and both as DNS names, so that a caller can insist on a certain node ("<node id>") or on any
manager ("swarm-manager"), whatever its address.
"""

from __future__ import annotations

from api.codec import Value
from api.objects.wanted import NodeDescription, TaskStatus
from api.states import Role
from api.wire.assignments import Resource, ResourceKey

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


class Welcome(Value, frozen=True, tag="welcome"):
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

    put: list[Resource] = []
    remove: list[ResourceKey] = []


class Assignments(Value, frozen=True, tag="assignments"):
    """The whole set (`full`), or what differs from what was sent before. Numbers count from 1 without a gap.

    Parts that came before it belong to it.
    """

    number: int
    full: bool = False
    put: list[Resource] = []
    remove: list[ResourceKey] = []


class Accepted(Value, frozen=True, tag="accepted"):
    """The statuses of that number are in the store."""

    number: int


ManagerMessage = Welcome | Part | Assignments | Accepted


# Host: what a host does for others.


class LogsRequest(Value, frozen=True):
    """Host.Logs (managers only): the log of a task's container."""

    task_id: str
    follow: bool = False
    since: float = 0.0
    """Unix seconds."""
    tail: int = -1
    """Lines from the end; -1 for all."""
    stdout: bool = True
    stderr: bool = True


class LogLine(Value, frozen=True):
    """One line of a container's output, or the part of a line that fits."""

    time: float
    stream: str
    """stdout or stderr."""
    text: bytes
    """With its newline, if it ended there."""


class LogLines(Value, frozen=True):
    """An answer to LogsRequest: the next lines, some hundred KiB at most."""

    lines: list[LogLine]


class ExportRequest(Value, frozen=True):
    """Host.ExportImage (managers, and nodes with a task that needs the image): answered by a stream of raw bytes, a tar
    archive of `blobs/sha256/<digest>`: manifests, config, layers.
    """

    reference: str
    """With a digest, or an image's id: what a tag means is not for a host to say."""


# Dispatcher.MayExport: what a host that is asked for an image asks a manager.


class ExportCheck(Value, frozen=True):
    """May that node have that image?"""

    node_id: str
    reference: str


class ExportVerdict(Value, frozen=True):
    """The answer; `why` not, if so."""

    allowed: bool
    why: str = ""


class ManagersNotice(Value, frozen=True):
    """Host.Managers (managers only): where the managers are now, for a host that cannot find them. As in Welcome."""

    managers: list[str] = []
    apis: list[str] = []
    ids: dict[str, str] = {}


DISPATCHER = "argosy.Dispatcher"
HOST = "argosy.Host"
SESSION_METHOD = f"/{DISPATCHER}/Session"
MAY_EXPORT_METHOD = f"/{DISPATCHER}/MayExport"
LOGS_METHOD = f"/{HOST}/Logs"
EXPORT_METHOD = f"/{HOST}/ExportImage"
MANAGERS_METHOD = f"/{HOST}/Managers"


# The manager's HTTPS port (2377): how a host becomes a node. Requests and answers are JSON bodies.


class JoinRequest(Value, frozen=True):
    """POST /argosy/v1/join, without a client certificate: the token is the credential."""

    token: str
    csr: str
    """PEM; its subject is ignored."""
    availability: str = ""


class JoinAnswer(Value, frozen=True):
    """A node's certificate and where the managers are."""

    node_id: str
    certificate: str
    """PEM."""
    ca_certificate: str
    """PEM; the caller has checked it against the token's digest."""
    cluster_id: str
    managers: list[str]
    """"address:host_port" of every manager alive."""
    apis: list[str] = []
    """"address:port" of their manager APIs."""
    data_path_port: int = 4789


class RenewRequest(Value, frozen=True):
    """POST /argosy/v1/renew, with the node's present certificate."""

    csr: str


class MemberRequest(Value, frozen=True):
    """POST /argosy/v1/members, manager certificate: add this node's etcd member as a learner."""

    peer_url: str


class MemberAnswer(Value, frozen=True):
    """What etcd's command line needs."""

    member_id: str
    initial_cluster: str
    endpoints: list[str]
