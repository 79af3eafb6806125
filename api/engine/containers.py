"""Containers of a host: the bodies of the /containers paths."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from api.engine.common import Empty, FullAnswer
from api.engine.images import GraphDriver
from api.service.container import Healthcheck, Mount, Ulimit


class ContainerPort(FullAnswer, frozen=True):
    """A port of a container, and the host's address and port that lead to it."""

    ip: str = ""
    private_port: int = 0
    public_port: int = 0
    type: str = "tcp"


class MountPoint(FullAnswer, frozen=True):
    """One mount of a container."""

    type: str = ""
    name: str | UnsetType = UNSET
    """For volumes only."""
    source: str = ""
    destination: str = ""
    driver: str | UnsetType = UNSET
    """For volumes only."""
    mode: str = ""
    rw: bool = field(name="RW", default=False)
    propagation: str = ""


class EndpointSettings(FullAnswer, frozen=True, kw_only=True):
    """A container on a network."""

    aliases: list[str] | None = None
    mac_address: str = field(name="MacAddress", default="")
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0


class SummaryHostConfig(FullAnswer, frozen=True):
    """The part of a container's HostConfig that lists show."""

    network_mode: str = ""


class SummaryNetworkSettings(FullAnswer, frozen=True):
    """The part of a container's networks that lists show."""

    networks: dict[str, EndpointSettings] = {}


class ContainerSummaryAnswer(FullAnswer, frozen=True):
    """An item of GET /containers/json. `created` is in Unix seconds."""

    id: str = field(name="Id")
    names: list[str] = []
    image: str = ""
    image_id: str = ""
    command: str = ""
    created: int = 0
    ports: list[ContainerPort] = []
    size_rw: int | UnsetType = UNSET
    """Bytes that it has written. This and the next field: in GET /system/df only."""
    size_root_fs: int | UnsetType = UNSET
    labels: dict[str, str] | None = None
    state: str = ""
    status: str = ""
    host_config: SummaryHostConfig = SummaryHostConfig()
    network_settings: SummaryNetworkSettings = SummaryNetworkSettings()
    mounts: list[MountPoint] = []


class HealthProbe(FullAnswer, frozen=True):
    """One run of a health check."""

    start: str = ""
    end: str = ""
    exit_code: int = 0
    output: str = ""


class ContainerHealth(FullAnswer, frozen=True):
    """The results of a container's health check."""

    status: str = ""
    failing_streak: int = 0
    log: list[HealthProbe] = []


class ContainerState(FullAnswer, frozen=True):
    """Whether a container runs, or how it ended."""

    status: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = field(name="Pid", default=0)
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: ContainerHealth | UnsetType = UNSET
    """With a health check only."""


class ContainerConfig(FullAnswer, frozen=True):
    """What a container runs."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    tty: bool = field(name="Tty", default=False)
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] = []
    cmd: list[str] | None = None
    healthcheck: Healthcheck | None = None
    image: str = ""
    volumes: dict[str, Empty] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""


class LogConfig(FullAnswer, frozen=True):
    """The log driver of a container."""

    type: str = ""
    config: dict[str, str] = {}


class ContainerRestartPolicy(FullAnswer, frozen=True):
    """The host's own restart policy: always "no", since the orchestrator replaces ended tasks."""

    name: str = "no"
    maximum_retry_count: int = 0


class PortBinding(FullAnswer, frozen=True):
    """The host's address and port of a published port."""

    host_ip: str = field(name="HostIp", default="")
    host_port: str = ""


class ContainerHostConfig(FullAnswer, frozen=True, kw_only=True):
    """A container's settings that concern its host. Units: bytes, nano-CPUs."""

    binds: list[str] | None = None
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding]] = {}
    restart_policy: ContainerRestartPolicy = ContainerRestartPolicy()
    auto_remove: bool = False
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    oom_score_adj: int = 0
    pid_mode: str = field(name="PidMode", default="")
    privileged: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    memory: int = 0
    nano_cpus: int = field(name="NanoCpus", default=0)
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    mounts: list[Mount] | None = None
    init: bool | None = None


class ContainerNetworkSettings(FullAnswer, frozen=True):
    """A container's networks, addresses and ports."""

    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding]] = {}
    networks: dict[str, EndpointSettings] = {}


class ContainerAnswer(FullAnswer, frozen=True):
    """GET /containers/{id}/json."""

    id: str = field(name="Id")
    created: str = ""
    path: str = ""
    args: list[str] = []
    state: ContainerState = ContainerState()
    image: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    name: str = ""
    restart_count: int = 0
    driver: str = ""
    platform: str = ""
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = None
    host_config: ContainerHostConfig = ContainerHostConfig()
    graph_driver: GraphDriver = GraphDriver()
    mounts: list[MountPoint] = []
    config: ContainerConfig = ContainerConfig()
    network_settings: ContainerNetworkSettings = ContainerNetworkSettings()


class WaitAnswer(FullAnswer, frozen=True):
    """POST /containers/{id}/wait."""

    status_code: int = 0


class TopAnswer(FullAnswer, frozen=True, kw_only=True):
    """GET /containers/{id}/top."""

    processes: list[list[str]] = []
    titles: list[str] = []


class ContainersPruneAnswer(FullAnswer, frozen=True):
    """POST /containers/prune. `space_reclaimed` is in bytes."""

    containers_deleted: list[str] | None = None
    space_reclaimed: int = 0
