"""Phase 8: the frozen project: the canonical tree without its marks, typed. Field names are the specification's.

Durations are nanoseconds, sizes are bytes, CPUs are CPUs (1.5).
"""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True):
    """Base of the project's parts."""


class Dependency(Model, frozen=True):
    """What a service waits for."""

    condition: str = "service_started"
    required: bool = True


class Healthcheck(Model, frozen=True):
    """How to tell whether a container works."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0
    disable: bool = False


class Logging(Model, frozen=True):
    """Where output goes."""

    driver: str = ""
    options: dict[str, str | None] = {}


class ServiceNetwork(Model, frozen=True):
    """A service on a network."""

    aliases: list[str] = []
    driver_opts: dict[str, str | None] = {}


class Port(Model, frozen=True):
    """One published port; published "" asks for any."""

    target: int
    published: str = ""
    protocol: str = "tcp"
    mode: str = "ingress"
    name: str = ""


class Ulimit(Model, frozen=True):
    """Soft and hard limit."""

    soft: int
    hard: int


class Bind(Model, frozen=True):
    """Options of a bind mount."""

    propagation: str = ""
    create_host_path: bool | None = None
    recursive: str = ""


class VolumeUse(Model, frozen=True):
    """Options of a volume mount."""

    labels: dict[str, str | None] = {}
    nocopy: bool = False
    subpath: str = ""


class Tmpfs(Model, frozen=True):
    """Options of a tmpfs mount."""

    size: int = 0
    mode: int = 0


class Mount(Model, frozen=True):
    """One mount of a service."""

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: Bind | None = None
    volume: VolumeUse | None = None
    tmpfs: Tmpfs | None = None


class Update(Model, frozen=True):
    """How an update or rollback proceeds."""

    parallelism: int | None = None
    delay: int = 0
    failure_action: str = ""
    monitor: int | None = None
    max_failure_ratio: float = 0.0
    order: str = ""


class Discrete(Model, frozen=True):
    """So many of a kind."""

    kind: str
    value: int


class Generic(Model, frozen=True):
    """A generic resource."""

    discrete_resource_spec: Discrete | None = None


class Limits(Model, frozen=True):
    """Upper bounds; 0 is none."""

    cpus: float = 0.0
    memory: int = 0
    pids: int = 0


class Reservations(Model, frozen=True):
    """What a node must have free."""

    cpus: float = 0.0
    memory: int = 0
    generic_resources: list[Generic] = []


class Resources(Model, frozen=True):
    """Both."""

    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(Model, frozen=True):
    """When an ended task is replaced."""

    condition: str = ""
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None


class Preference(Model, frozen=True):
    """Spread over a label's values."""

    spread: str


class Placement(Model, frozen=True):
    """Which nodes."""

    constraints: list[str] = []
    preferences: list[Preference] = []
    max_replicas_per_node: int = 0


class Deploy(Model, frozen=True):
    """How a service runs on the cluster."""

    mode: str = "replicated"
    endpoint_mode: str = ""
    replicas: int | None = None
    labels: dict[str, str | None] = {}
    update_config: Update | None = None
    rollback_config: Update | None = None
    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None


class Service(Model, frozen=True):
    """A service."""

    image: str
    cap_add: list[str] = []
    cap_drop: list[str] = []
    command: list[str] = []
    cpus: float = 0.0
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy = Deploy()
    dns: list[str] = []
    dns_opt: list[str] = []
    dns_search: list[str] = []
    entrypoint: list[str] = []
    environment: dict[str, str] = {}
    extra_hosts: dict[str, list[str]] = {}
    group_add: list[str] = []
    healthcheck: Healthcheck | None = None
    hostname: str = ""
    init: bool | None = None
    labels: dict[str, str] = {}
    logging: Logging | None = None
    mem_limit: int = 0
    mem_reservation: int = 0
    networks: dict[str, ServiceNetwork] = {}
    oom_score_adj: int = 0
    pids_limit: int = 0
    platform: str = ""
    ports: list[Port] = []
    read_only: bool = False
    restart: str = ""
    scale: int | None = None
    security_opt: list[str] = []
    shm_size: int = 0
    stdin_open: bool = False
    stop_grace_period: int | None = None
    stop_signal: str = ""
    sysctls: dict[str, str | None] = {}
    tmpfs: list[Mount] = []
    tty: bool = False
    ulimits: dict[str, Ulimit] = {}
    user: str = ""
    volumes: list[Mount] = []
    working_dir: str = ""


class AddressRange(Model, frozen=True):
    """One range of a network."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: dict[str, str | None] = {}


class Ipam(Model, frozen=True):
    """Addresses of a network."""

    driver: str = ""
    config: list[AddressRange] = []
    options: dict[str, str | None] = {}


class Network(Model, frozen=True):
    """A network."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str | None] = {}
    ipam: Ipam = Ipam()
    external: bool = False
    internal: bool = False
    attachable: bool = False
    labels: dict[str, str | None] = {}


class Volume(Model, frozen=True):
    """A named volume."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str | None] = {}
    external: bool = False
    labels: dict[str, str | None] = {}


class Project(Model, frozen=True):
    """A whole compose project."""

    name: str = ""
    services: dict[str, Service] = {}
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}


def project_of(tree: Any) -> Project:
    """The project of a canonical, verified tree without marks."""
    return msgspec.convert(tree, Project)
