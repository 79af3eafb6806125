"""The cluster and its nodes: the bodies of /swarm and /nodes, and the cluster's part of GET /info."""

from __future__ import annotations

from typing import Any

import msgspec

from api.engine.common import Answer, Request, VersionAnswer, always
from api.node_spec import NodeSpec
from api.service.container import Driver
from api.service.resources import Reservations
from api.states import Availability, Role

CLUSTER_NAME = "default"
"""The name that Docker gives every cluster."""


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


class OrchestrationRequest(Request, frozen=True):
    """How many ended tasks to keep per slot."""

    task_history_retention_limit: int | None = None


class RaftRequest(Request, frozen=True):
    """Docker's settings of its own store; only their defaults are accepted."""

    snapshot_interval: int | None = None
    keep_old_snapshots: int | None = None
    log_entries_for_slow_followers: int | None = None
    election_tick: int | None = None
    heartbeat_tick: int | None = None


class DispatcherRequest(Request, frozen=True):
    """Nanoseconds between an agent's heartbeats."""

    heartbeat_period: int = 0


class CAConfigRequest(Request, frozen=True):
    """`node_cert_expiry`: nanoseconds that a node's certificate is valid; the other fields are refused."""

    node_cert_expiry: int = 0
    external_cas: list[dict[str, Any]] = msgspec.field(default_factory=list, name="ExternalCAs")
    signing_ca_cert: str = msgspec.field(default="", name="SigningCACert")
    signing_ca_key: str = msgspec.field(default="", name="SigningCAKey")
    force_rotate: int = 0


class TaskDefaultsRequest(Request, frozen=True):
    """Refused."""

    log_driver: Driver | None = None


class EncryptionConfigRequest(Request, frozen=True):
    """Refused."""

    auto_lock_managers: bool = False


class SwarmUpdateRequest(Request, frozen=True):
    """Body of POST /swarm/update: the cluster's spec; fields that are not sent stay unchanged."""

    name: str = CLUSTER_NAME
    labels: dict[str, str] = {}
    orchestration: OrchestrationRequest = OrchestrationRequest()
    raft: RaftRequest = RaftRequest()
    dispatcher: DispatcherRequest = DispatcherRequest()
    ca_config: CAConfigRequest = msgspec.field(default=CAConfigRequest(), name="CAConfig")
    task_defaults: TaskDefaultsRequest = TaskDefaultsRequest()
    encryption_config: EncryptionConfigRequest = EncryptionConfigRequest()


class SwarmInitRequest(Request, frozen=True):
    """Body of POST /swarm/init."""

    listen_addr: str = ""
    advertise_addr: str = ""
    data_path_addr: str = ""
    data_path_port: int = 0
    default_addr_pool: list[str] = []
    force_new_cluster: bool = False
    spec: SwarmUpdateRequest = SwarmUpdateRequest()
    auto_lock_managers: bool = False
    availability: str = ""
    subnet_size: int = 0


class SwarmJoinRequest(Request, frozen=True):
    """Body of POST /swarm/join."""

    listen_addr: str = ""
    advertise_addr: str = ""
    data_path_addr: str = ""
    remote_addrs: list[str] = []
    join_token: str = ""
    availability: str = ""


# ── the cluster ──────────────────────────────────────────────────────────────────────────────────────────────────


class OrchestrationAnswer(Answer, frozen=True):
    """How many ended tasks are kept per slot."""

    task_history_retention_limit: int = always(0)


class RaftAnswer(Answer, frozen=True):
    """Docker's defaults. The store is etcd's affair here; clients send back what they are shown."""

    snapshot_interval: int = always(10000)
    keep_old_snapshots: int = always(0)
    log_entries_for_slow_followers: int = always(500)
    election_tick: int = always(10)
    heartbeat_tick: int = always(1)


class DispatcherAnswer(Answer, frozen=True):
    """Nanoseconds between an agent's heartbeats."""

    heartbeat_period: int = always(0)


class CAConfigAnswer(Answer, frozen=True):
    """Nanoseconds a node's certificate holds."""

    node_cert_expiry: int = always(0)


class TaskDefaultsAnswer(Answer, frozen=True):
    """None are kept."""


class EncryptionConfigAnswer(Answer, frozen=True):
    """Managers are never locked."""

    auto_lock_managers: bool = always(False)


class ClusterSpecAnswer(Answer, frozen=True):
    """What a user may change of the cluster."""

    name: str = always(CLUSTER_NAME)
    labels: dict[str, str] = always({})
    orchestration: OrchestrationAnswer = always(OrchestrationAnswer())
    raft: RaftAnswer = always(RaftAnswer())
    dispatcher: DispatcherAnswer = always(DispatcherAnswer())
    ca_config: CAConfigAnswer = msgspec.field(default_factory=CAConfigAnswer, name="CAConfig")
    task_defaults: TaskDefaultsAnswer = always(TaskDefaultsAnswer())
    encryption_config: EncryptionConfigAnswer = always(EncryptionConfigAnswer())


class TLSInfoAnswer(Answer, frozen=True):
    """The cluster's trusted CA. Empty before there is one."""

    trust_root: str = ""
    """PEM."""
    cert_issuer_subject: str = ""
    """DER, base64."""
    cert_issuer_public_key: str = ""
    """DER, base64."""


class ClusterAnswer(Answer, frozen=True):
    """The cluster, without its join tokens."""

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    spec: ClusterSpecAnswer = always(ClusterSpecAnswer())
    tls_info: TLSInfoAnswer = always(TLSInfoAnswer())
    root_rotation_in_progress: bool = always(False)
    default_addr_pool: list[str] = always([])
    subnet_size: int = always(0)
    data_path_port: int = always(0)


class JoinTokensAnswer(Answer, frozen=True):
    """The tokens that hosts join with."""

    worker: str = always("")
    manager: str = always("")


class SwarmAnswer(ClusterAnswer, frozen=True):
    """GET /swarm."""

    join_tokens: JoinTokensAnswer = always(JoinTokensAnswer())


class UnlockKeyAnswer(Answer, frozen=True):
    """GET /swarm/unlockkey: managers are never locked."""

    unlock_key: str = always("")


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────


class NodeSpecAnswer(NodeSpec, frozen=True):
    """A node's spec; every field but the name is always written."""

    labels: dict[str, str] = always({})
    role: Role = always(Role.WORKER)
    availability: Availability = always(Availability.ACTIVE)


class PlatformAnswer(Answer, frozen=True):
    """A node's machine and operating system."""

    architecture: str = always("")
    os: str = always("")


class PluginAnswer(Answer, frozen=True):
    """A driver of a node."""

    type: str = always("")
    name: str = always("")


class EngineAnswer(Answer, frozen=True):
    """The version and drivers of a node's engine."""

    engine_version: str = always("")
    labels: dict[str, str] = {}
    plugins: list[PluginAnswer] = always([])


class NodeDescriptionAnswer(Answer, frozen=True):
    """A node's description, as its agent reports it."""

    hostname: str = always("")
    platform: PlatformAnswer = always(PlatformAnswer())
    resources: Reservations = always(Reservations())
    """The node's total resources."""
    engine: EngineAnswer = always(EngineAnswer())
    tls_info: TLSInfoAnswer = always(TLSInfoAnswer())


class NodeStatusAnswer(Answer, frozen=True):
    """Whether a node is ready, and what does not work on it."""

    state: str = always("")
    message: str = ""
    addr: str = ""


class ManagerStatusAnswer(Answer, frozen=True):
    """A node's state as a manager."""

    leader: bool = False
    reachability: str = always("")
    addr: str = always("")


class NodeAnswer(Answer, frozen=True):
    """GET /nodes/{id}, and an item of GET /nodes."""

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    spec: NodeSpecAnswer = always(NodeSpecAnswer())
    description: NodeDescriptionAnswer = always(NodeDescriptionAnswer())
    status: NodeStatusAnswer = always(NodeStatusAnswer())
    manager_status: ManagerStatusAnswer | None = None


# ── GET /info ────────────────────────────────────────────────────────────────────────────────────────────────────


class RemoteManagerAnswer(Answer, frozen=True):
    """A manager's address."""

    node_id: str = always("")
    addr: str = always("")


class SwarmInfoAnswer(Answer, frozen=True):
    """The field Swarm of GET /info; "inactive" on a host outside a cluster."""

    node_id: str = always("")
    node_addr: str = always("")
    local_node_state: str = always("inactive")
    control_available: bool = always(False)
    error: str = always("")
    remote_managers: list[RemoteManagerAnswer] | None = always(None)
    nodes: int = 0
    managers: int = 0
    cluster: ClusterAnswer | None = None
