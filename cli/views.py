"""What the daemon answers, as far as commands look at it. Names are the Engine API's; unknown fields are passed by."""

from __future__ import annotations

import msgspec

from api.codec import Value
from api.node_spec import NodeSpec
from api.reasons.reason import Reason
from api.service.ports import EndpointSpec, PortConfig
from api.service.service_spec import ServiceSpec, TaskSpec


def _stack(labels: dict[str, str] | None) -> str:
    from compose.model.stack import NAMESPACE  # only commands on stacks need it

    return (labels or {}).get(NAMESPACE, "")


class Version(Value, frozen=True):
    """For compare-and-swap."""

    index: int = 0


class UpdateStatus(Value, frozen=True):
    """How far an update is."""

    state: str = ""
    started_at: str = ""
    message: str = ""
    completed_at: str = ""
    reason: Reason | None = None
    """Why it stopped, or what it waits for."""


class ServiceStatus(Value, frozen=True):
    """Counts of tasks."""

    running_tasks: int = 0
    desired_tasks: int = 0


class Endpoint(Value, frozen=True):
    """How a service is reached."""

    spec: EndpointSpec | None = None
    ports: list[PortConfig] | None = None


class Service(Value, frozen=True):
    """GET /services/{id}."""

    id: str
    version: Version = Version()
    created_at: str = ""
    updated_at: str = ""
    spec: ServiceSpec = ServiceSpec()
    endpoint: Endpoint = Endpoint()
    update_status: UpdateStatus | None = None
    service_status: ServiceStatus | None = None

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return _stack(self.spec.labels)

    @property
    def network_ids(self) -> set[str]:
        """Networks it is on."""
        return {target.target for target in self.spec.network_targets}


class TaskPorts(Value, frozen=True):
    """Host ports of a task."""

    ports: list[PortConfig] | None = None


class ContainerStatus(Value, frozen=True):
    """Its container."""

    container_id: str = msgspec.field(default="", name="ContainerID")
    exit_code: int = 0


class TaskStatus(Value, frozen=True):
    """Where a task is, and why."""

    timestamp: str = ""
    state: str = ""
    message: str = ""
    err: str = ""
    reason: Reason | None = None
    container_status: ContainerStatus | None = None
    port_status: TaskPorts = TaskPorts()


class Task(Value, frozen=True):
    """GET /tasks/{id}."""

    id: str
    created_at: str = ""
    service_id: str = ""
    slot: int = 0
    node_id: str = ""
    spec: TaskSpec = TaskSpec()
    status: TaskStatus = TaskStatus()
    desired_state: str = ""


class Platform(Value, frozen=True):
    """Of a node."""

    architecture: str = ""
    os: str = ""


class Engine(Value, frozen=True):
    """Of a node."""

    engine_version: str = ""
    labels: dict[str, str] = {}


class NodeResources(Value, frozen=True):
    """Of a node."""

    nano_cpus: int = 0
    memory_bytes: int = 0


class Description(Value, frozen=True):
    """What a node says of itself."""

    hostname: str = ""
    platform: Platform = Platform()
    resources: NodeResources = NodeResources()
    engine: Engine = Engine()


class NodeStatus(Value, frozen=True):
    """Whether it is there."""

    state: str = ""
    message: str = ""
    addr: str = ""


class ManagerStatus(Value, frozen=True):
    """Of a manager."""

    leader: bool = False
    reachability: str = ""
    addr: str = ""


class Node(Value, frozen=True):
    """GET /nodes/{id}."""

    id: str
    version: Version = Version()
    created_at: str = ""
    spec: NodeSpec = NodeSpec()
    description: Description = Description()
    status: NodeStatus = NodeStatus()
    manager_status: ManagerStatus | None = None


class IPAMConfig(Value, frozen=True):
    """One range."""

    subnet: str = ""
    ip_range: str = msgspec.field(default="", name="IPRange")
    gateway: str = ""


class IPAM(Value, frozen=True):
    """Addresses of a network."""

    driver: str = ""
    config: list[IPAMConfig] | None = None


class Network(Value, frozen=True):
    """GET /networks/{id}."""

    id: str = msgspec.field(name="Id")
    name: str = ""
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    enable_ipv4: bool = msgspec.field(default=True, name="EnableIPv4")
    enable_ipv6: bool = msgspec.field(default=False, name="EnableIPv6")
    created: str = ""
    ipam: IPAM = msgspec.field(default_factory=IPAM, name="IPAM")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return _stack(self.labels)


class FileSpec(Value, frozen=True):
    """Of a secret or config, without what is in it."""

    name: str = ""
    labels: dict[str, str] = {}


class File(Value, frozen=True):
    """GET /secrets/{id}, /configs/{id}."""

    id: str
    version: Version = Version()
    created_at: str = ""
    updated_at: str = ""
    spec: FileSpec = FileSpec()

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return _stack(self.spec.labels)


class Created(Value, frozen=True):
    """The answer to a create."""

    id: str = ""
    warnings: list[str] | None = None


class NetworkCreated(Value, frozen=True):
    """The answer to a network's create."""

    id: str = msgspec.field(default="", name="Id")
    warning: str = ""


class JoinTokens(Value, frozen=True):
    """What hosts join with."""

    worker: str = ""
    manager: str = ""


class Swarm(Value, frozen=True):
    """GET /swarm."""

    id: str = ""
    version: Version = Version()
    join_tokens: JoinTokens = JoinTokens()


class RemoteManager(Value, frozen=True):
    """A manager's address."""

    node_id: str = ""
    addr: str = ""


class SwarmInfo(Value, frozen=True):
    """The cluster's part of GET /info."""

    node_id: str = ""
    node_addr: str = ""
    local_node_state: str = ""
    control_available: bool = False
    error: str = ""
    remote_managers: list[RemoteManager] | None = None
    nodes: int = 0
    managers: int = 0


class Info(Value, frozen=True):
    """GET /info."""

    name: str = ""
    id: str = ""
    server_version: str = ""
    containers: int = 0
    containers_running: int = 0
    images: int = 0
    operating_system: str = ""
    kernel_version: str = ""
    architecture: str = ""
    n_cpu: int = msgspec.field(default=0, name="NCPU")
    mem_total: int = 0
    docker_root_dir: str = ""
    swarm: SwarmInfo = SwarmInfo()
    warnings: list[str] | None = None
