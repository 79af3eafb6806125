"""The frozen project, result of phase 12: the canonical tree as types. Field names are those of the specification.

Durations are in nanoseconds, sizes in bytes, CPUs as fractions of CPUs (1.5).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from compose.model.deploy_model import Deploy, DeviceRequest, Model, Schedule


class Dependency(Model, frozen=True):
    """A condition on another service that a service waits for."""

    condition: str
    required: bool = True
    restart: bool = False


class Healthcheck(Model, frozen=True):
    """The health check of a container."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0
    disable: bool = False


class Logging(Model, frozen=True):
    """The log driver of a container and its options."""

    driver: str = ""
    options: dict[str, str | None] = {}


class ServiceNetwork(Model, frozen=True):
    """A service's attachment to a network."""

    aliases: list[str] = []
    ipv4_address: str = ""
    mac_address: str = ""


class Port(Model, frozen=True):
    """One port of a service. `published` "" lets the cluster choose."""

    target: int
    published: str = ""
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    mode: Literal["ingress", "host"] = "ingress"
    name: str = ""
    host_ip: str = ""
    app_protocol: str = ""


class Ulimit(Model, frozen=True):
    """A soft and a hard limit."""

    soft: int
    hard: int


class Bind(Model, frozen=True):
    """Options of a bind mount."""

    propagation: str = ""
    create_host_path: bool | None = None
    recursive: str = ""
    selinux: str = ""


class VolumeUse(Model, frozen=True):
    """Options of a volume mount."""

    labels: dict[str, str | None] = {}
    nocopy: bool = False
    subpath: str = ""


class Tmpfs(Model, frozen=True):
    """Options of a tmpfs mount."""

    size: int = 0
    mode: int = 0
    options: list[list[str]] = []
    """Other options of `tmpfs`: each a flag, or a name and a value."""


class Mount(Model, frozen=True):
    """One mount of a service."""

    type: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: Bind | None = None
    volume: VolumeUse | None = None
    tmpfs: Tmpfs | None = None


class Device(Model, frozen=True):
    """A device of the host. `source` is a path or a CDI name."""

    source: str
    target: str = ""
    permissions: str = ""


class FileUse(Model, frozen=True):
    """A secret or config in a container. By default it belongs to root and everybody may read it."""

    source: str
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: int | None = None


class Hook(Model, frozen=True):
    """A command run in a running container."""

    command: list[str]
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: dict[str, str | None] = {}


class InitStep(Hook, frozen=True):
    """A command that runs to completion in its own container before the service starts."""

    image: str = ""
    """"" for the service's image."""


class WeightDevice(Model, frozen=True):
    """The weight of a block device."""

    path: str
    weight: int


class ThrottleDevice(Model, frozen=True):
    """A rate limit of a block device."""

    path: str
    rate: int


class BlockIo(Model, frozen=True):
    """Weights and limits of block devices."""

    weight: int = 0
    weight_device: list[WeightDevice] = []
    device_read_bps: list[ThrottleDevice] = []
    device_read_iops: list[ThrottleDevice] = []
    device_write_bps: list[ThrottleDevice] = []
    device_write_iops: list[ThrottleDevice] = []


class Build(Model, frozen=True):
    """How `argosy stack build` makes a service's image. Paths are absolute."""

    context: str = ""
    dockerfile: str = ""
    dockerfile_inline: str = ""
    target: str = ""
    args: dict[str, str] = {}
    labels: dict[str, str | None] = {}
    additional_contexts: dict[str, str | None] = {}
    ssh: dict[str, str | None] = {}
    tags: list[str] = []
    platforms: list[str] = []
    cache_from: list[str] = []
    cache_to: list[str] = []
    entitlements: list[str] = []
    secrets: list[FileUse] = []
    extra_hosts: dict[str, list[str]] = {}
    ulimits: dict[str, Ulimit] = {}
    isolation: str = ""
    network: str = ""
    no_cache: bool = False
    no_cache_filter: list[str] = []
    pull: bool = False
    privileged: bool = False
    provenance: bool | str = False
    sbom: bool | str = False
    shm_size: int = 0


class Service(Model, frozen=True):
    """A service."""

    image: str = ""
    """"" for a service that is built; image_of() returns its image name."""
    annotations: dict[str, str | None] = {}
    blkio_config: BlockIo = BlockIo()
    build: Build | None = None
    cap_add: list[str] = []
    cap_drop: list[str] = []
    cgroup: str = ""
    cgroup_parent: str = ""
    command: list[str] = []
    configs: list[FileUse] = []
    container_name: str = ""
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_shares: int = 0
    cpus: float = 0.0
    cpuset: str = ""
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy = Deploy()
    device_cgroup_rules: list[str] = []
    devices: list[Device] = []
    dns: list[str] = []
    dns_opt: list[str] = []
    dns_search: list[str] = []
    domainname: str = ""
    entrypoint: list[str] = []
    environment: dict[str, str | None] = {}
    """A None value unsets the image's variable."""
    expose: list[str] = []
    extra_hosts: dict[str, list[str]] = {}
    gpus: list[DeviceRequest] = []
    group_add: list[str] = []
    healthcheck: Healthcheck | None = None
    hostname: str = ""
    init: bool | None = None
    ipc: str = ""
    labels: dict[str, str] = {}
    links: list[str] = []
    logging: Logging | None = None
    mac_address: str = ""
    mem_limit: int = 0
    mem_reservation: int = 0
    mem_swappiness: int | None = None
    memswap_limit: int = 0
    network_mode: str = ""
    networks: dict[str, ServiceNetwork] = {}
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str | None = None
    pids_limit: int = 0
    platform: str = ""
    ports: list[Port] = []
    post_start: list[Hook] = []
    pre_start: list[InitStep] = []
    pre_stop: list[Hook] = []
    privileged: bool = False
    pull_policy: str = ""
    read_only: bool = False
    restart: str = ""
    runtime: str = ""
    scale: int | None = None
    secrets: list[FileUse] = []
    security_opt: list[str] = []
    shm_size: int = 0
    stdin_open: bool = False
    stop_grace_period: int | None = None
    stop_signal: str = ""
    sysctls: dict[str, str | None] = {}
    tmpfs: list[str] = []
    tty: bool = False
    ulimits: dict[str, Ulimit] = {}
    use_api_socket: bool = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: list[Mount] = []
    working_dir: str = ""
    schedule: Schedule | None = msgspec.field(default=None, name="x-argosy-schedule")


class AddressRange(Model, frozen=True):
    """One address range of a network."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: dict[str, str | None] = {}


class Ipam(Model, frozen=True):
    """Address management of a network."""

    driver: str = ""
    config: list[AddressRange] = []


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


class File(Model, frozen=True):
    """A secret or config. Its content is in LoadState.contents."""

    name: str = ""
    file: str = ""
    environment: str = ""
    content: str = ""
    external: bool = False
    labels: dict[str, str | None] = {}


class Project(Model, frozen=True):
    """A whole compose project."""

    name: str = ""
    services: dict[str, Service] = {}
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}
    secrets: dict[str, File] = {}
    configs: dict[str, File] = {}


def project_of(tree: Any) -> Project:
    """The project of a canonical, verified tree without marks. Omits what only other commands use."""
    services = {
        name: {key: value for key, value in service.items() if key not in _FOR_OTHERS}
        for name, service in tree.get("services", {}).items()
    }
    return msgspec.convert({**{k: v for k, v in tree.items() if k != "version"}, "services": services}, Project)


def image_of(project: str, name: str, service: Service) -> str:
    """The image of a service: its `image`, or the name of the one that `argosy stack build` builds."""
    return service.image or f"{project}-{name}".lower()


_FOR_OTHERS = ("attach", "develop", "extends", "profiles", "env_file", "label_file")
"""Attributes that a note mentioned, or that an earlier phase resolved."""
