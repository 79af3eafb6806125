"""What the cluster stores, one class per kind of key in etcd (see `KINDS`).

Each key has one kind of writer. *Wanted* objects are written by the API on any manager, compare-and-swap on the
version that was read. *Decided* objects are written by the leader, fenced. *Observed* objects are written by the
dispatcher for an agent, last value wins. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from api.codec import Value
from api.service.service_spec import GenericResource, NetworkSpec, NodeSpec, PortConfig, Resources, ServiceSpec
from api.states import NodeState, TaskState
from api.stored_file import ConfigSpec, SecretSpec

T = TypeVar("T", bound=Value)


# ── wanted ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Cluster(Value, frozen=True):
    """The one cluster object (id "default" in the store; `id` is the cluster's own)."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    ca_certificate: str = ""
    """PEM."""
    ca_key: str = ""
    """PEM. Only managers can read the store."""
    worker_secret: str = ""
    """Last part of the worker join token."""
    manager_secret: str = ""
    labels: dict[str, str] = {}
    address_pool: list[str] = []
    subnet_length: int = 24
    data_path_port: int = 4789
    task_history: int = 5
    heartbeat: float = 2.0
    """Seconds."""
    cert_expiry: int = 7_776_000_000_000_000
    """Nanoseconds."""
    data_key: bytes = b""
    """Encrypts the secrets in the store (manager/security/encryption.py); made with the first of them."""
    former_data_keys: list[bytes] = []
    """Newest first; kept until nothing is encrypted with them any more."""
    rekeyed_at: float = 0.0
    """When the keys were last made anew because a manager had become none."""
    sealed: bytes = b""
    """In etcd: the CA's key, both secrets and the data keys, encrypted (sealing.py). Empty once opened."""
    seal_key: bytes = b""
    """What `sealed` is encrypted with. In a manager's memory only."""
    wraps: dict[str, bytes] = {}
    """The seal key, encrypted for each manager's own key, by node id."""


class Node(Value, frozen=True):
    """A member of the cluster, as wanted; made when it joins."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: NodeSpec = NodeSpec()
    public_key: bytes = b""
    """The key it joined with (SubjectPublicKeyInfo, DER): a certificate in its name for another key is not its own."""


class Certificate(Value, frozen=True):
    """That a manager's certificate was made, so that it can be withdrawn. Store id: its serial number, hexadecimal."""

    node_id: str
    expires_at: float


class Service(Value, frozen=True):
    """A service, as wanted. `revision` grows by one with every accepted change of the spec."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: ServiceSpec = ServiceSpec()
    revision: int = 1
    rollback: bool = False
    """Whether this revision was asked for as a rollback (it then proceeds by the rollback config)."""
    registry_login: bytes = b""
    """The login its hosts pull the image with, an auth.json, encrypted like a secret; never shown."""


class Network(Value, frozen=True):
    """A network, as wanted. The id of the routing mesh's is "ingress"."""

    id: str
    created_at: float = 0.0
    spec: NetworkSpec = NetworkSpec()
    removed: bool = False
    """Asked to go: hidden from users, deleted by the leader when its last task has left."""


class Secret(Value, frozen=True):
    """A secret, as wanted. Its spec is kept without data; `sealed` is the data, encrypted."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: SecretSpec = SecretSpec()
    sealed: bytes = b""


class Config(Value, frozen=True):
    """A config, as wanted."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: ConfigSpec = ConfigSpec()


class Claim(Value, frozen=True):
    """That a name is taken, so that two managers cannot give it twice. Store id: "<kind>.<name>".

    Written in one commit with its owner. One whose owner is gone, or goes by another name, is void.
    """

    owner: str
    """Id of the service, network, secret or config."""


# ── decided ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Revision(Value, frozen=True):
    """A service's spec at one revision, kept for its tasks and for rollback. Store id: "<service>.<number>"."""

    service_id: str
    number: int
    spec: ServiceSpec
    created_at: float = 0.0


class TaskAddress(Value, frozen=True):
    """A task's address on one network: "10.0.1.7/24"."""

    network_id: str
    address: str


class Task(Value, frozen=True):
    """One attempt to fill a slot, as the leader decided it: references, not copies.

    `state` is the managers' part of its life (NEW, PENDING, ASSIGNED; ORPHANED for a task of a lost node);
    the agent's part is its TaskStatus under the same id.
    """

    id: str
    service_id: str
    revision: int
    slot: int = 0
    """From 1; 0 for tasks bound to a node (global services)."""
    node_id: str = ""
    state: TaskState = TaskState.NEW
    desired: TaskState = TaskState.RUNNING
    """RUNNING, COMPLETE (jobs), SHUTDOWN or REMOVE."""
    addresses: list[TaskAddress] = []
    """Given back (emptied) once the task has ended."""
    created_at: float = 0.0
    updated_at: float = 0.0
    message: str = ""
    """Why it is where it is; for a pending task, why no node takes it."""
    job_iteration: int = 0
    """For jobs: the revision it works for; for scheduled jobs: the number of the run."""
    restarts: list[float] = []
    """When tasks before it in its slot, of the same TaskSpec, were restarted after an end of their own."""
    generic_resources: list[GenericResource] = []
    """What it was given of the node's generic resources when it was assigned."""
    replaces: str = ""
    """The task of the same slot that goes on until this one runs (a move to another node); "" for none."""


class NetworkDecision(Value, frozen=True):
    """What a network got. Store id: the network's."""

    subnet: str
    """CIDR; its first address is never given out."""
    vip_range: str
    """CIDR inside the subnet, kept for VIPs; "" when services on it have none."""
    vni: int


class ServiceVIP(Value, frozen=True):
    """A service's virtual address on one network (no prefix length)."""

    network_id: str
    address: str


class UpdateStatus(Value, frozen=True):
    """How far an update or rollback is. `state`: updating, paused, completed, rollback_started, …"""

    state: str = ""
    started_at: float = 0.0
    completed_at: float = 0.0
    message: str = ""
    revision: int = 0
    """The revision the tasks are being brought to."""
    total: int = 0
    """Slots that were to be changed when it began."""
    failures: int = 0
    """New tasks that ended too early."""
    done: int = 0
    """Most slots that were done at once."""
    progressed_at: float = 0.0
    """When `done` last grew."""
    reason: str = ""
    """Why it was paused or rolled back; stays when `message` says that the rollback is completed."""


class JobRun(Value, frozen=True):
    """One run of a scheduled job. Its tasks have its number as their `job_iteration`."""

    number: int
    due_at: float = 0.0
    started_at: float = 0.0
    """0 for a run that was not started."""
    ended_at: float = 0.0
    outcome: Literal["running", "completed", "failed", "replaced", "missed", "skipped"] = "running"
    """failed: a task failed and is not tried again; missed: nobody was there to start it in time; skipped: the run
    before was still at work, or the schedule was suspended."""
    revision: int = 0
    """The service's revision in force when it began."""
    base: int = 0
    """Its slots are base + 1 to base + total, so that runs beside one another have slots of their own."""
    total: int = 0


class ServiceDecision(Value, frozen=True):
    """What a service got. Store id: the service's."""

    vips: list[ServiceVIP] = []
    ports: list[PortConfig] = []
    """Ingress-mode ports, with those that were picked filled in."""
    update: UpdateStatus | None = None
    revision: int = 0
    """The revision in force, which new tasks get. Not the wanted one after an automatic rollback."""
    wanted: int = 0
    """The newest Service.revision that the leader has taken up."""
    previous: int = 0
    """Where a rollback goes: the last one before that all slots came to be of (orchestrator/revisions.py). 0: none."""
    message: str = ""
    """Which address or port it could not get, and why."""
    waits: str = ""
    """Which other services it waits for: "waiting for service db to be healthy"; "" for none."""
    held: bool = False
    """Whether the revision in force waits, its tasks staying NEW. (Otherwise the wanted one waits to be taken up.)"""
    runs: list[JobRun] = []
    """A scheduled job's last runs, oldest first."""
    scheduled_to: float = 0.0
    """Every run due up to this time has been decided about; 0 without a schedule."""
    schedule: str = ""
    """The cron expression and time zone that `scheduled_to` belongs to."""


class Gateway(Value, frozen=True):
    """The address of one node's bridge on one network: "10.0.1.2/24"."""

    network_id: str
    address: str


class NodeDecision(Value, frozen=True):
    """What a node got, and what the leader thinks of it. Store id: the node's."""

    state: NodeState = NodeState.UNKNOWN
    since: float = 0.0
    """When `state` was decided."""
    message: str = ""
    gateways: list[Gateway] = []
    """One per network with a task on the node; on ingress every node has one."""


# ── observed ─────────────────────────────────────────────────────────────────────────────────────────────────────


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
    """What does not work on it now, a sentence each."""
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
    message: str = ""
    error: str = ""
    container_id: str = ""
    pid: int = 0
    exit_code: int | None = None
    ports: list[PortStatus] = []
    started_at: float = 0.0
    """When it reached RUNNING; 0 when it never did."""
    closing: bool = False
    """It ends, or is unhealthy and being stopped: it takes no new connections, although it may still run."""


class Session(Value, frozen=True):
    """Says that a node's agent is alive; bound to a lease. Store id: the node's."""

    manager_id: str = ""
    """Node id of the manager that holds the agent's stream."""
    started_at: float = 0.0
    left: bool = False
    """The agent has said goodbye: the node is down, and nobody need wait for it."""


class Member(Value, frozen=True):
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
    """Those of them that have been silent for so long that nobody expects them back soon."""


class Confirmation(Value, frozen=True):
    """How far a manager's hosts have come. Store id: the manager's node id."""

    revision: int = 0
    """Every host with a session there directs its traffic by the state as it was at this revision, or later."""


class Leadership(Value, frozen=True):
    """Says which manager leads; bound to a lease, never changed once made. Store id: "current"."""

    node_id: str
    since: float = 0.0


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────


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
CONFIRMATION = Kind("observed/confirmations", Confirmation)
SESSION = Kind("sessions", Session)
MEMBER = Kind("members", Member)
SUSPICIONS = Kind("suspicions", Suspicions)
LEADERSHIP = Kind("leader", Leadership)

KINDS: tuple[Kind[Value], ...] = (
    CLUSTER, NODE, CERTIFICATE, SERVICE, NETWORK, SECRET, CONFIG, CLAIM,
    REVISION, TASK, NETWORK_DECISION, SERVICE_DECISION, NODE_DECISION,
    DESCRIPTION, STATUS, CONFIRMATION, SESSION, MEMBER, SUSPICIONS, LEADERSHIP,
)  # type: ignore[assignment]  # fmt: skip
DEFAULT_CLUSTER = "default"
INGRESS = "ingress"
CURRENT_LEADER = "current"


def revision_id(service_id: str, number: int) -> str:
    """Store id of a Revision."""
    return f"{service_id}.{number}"
