"""What a user asks for. Field names and meanings are the Docker Engine API's (`Spec` of services, nodes, networks).

Units: durations are nanoseconds, CPUs are nano-CPUs (10⁹ is one CPU), memory is bytes.
None and empty mean "not said"; the defaults are in api/defaults.py and are applied where a value is used.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from api.codec import Value
from api.network.network_spec import IPAM as IPAM
from api.network.network_spec import IPAMConfig as IPAMConfig
from api.network.network_spec import NetworkSpec as NetworkSpec
from api.service.host_config import Hook, HostConfig
from api.service.mounts import BindOptions as BindOptions
from api.service.mounts import Driver as Driver
from api.service.mounts import Mount as Mount
from api.service.mounts import TmpfsOptions as TmpfsOptions
from api.service.mounts import VolumeOptions as VolumeOptions
from api.states import Availability, Role


class EmptyMode(Value, frozen=True):
    """A mode without a parameter (`Global`, `GlobalJob`)."""


class Replicated(Value, frozen=True):
    """So many tasks, on any nodes."""

    replicas: int | None = None


class ReplicatedJob(Value, frozen=True):
    """So many completions, at most so many at once."""

    max_concurrent: int | None = None
    total_completions: int | None = None


class Mode(Value, frozen=True):
    """Exactly one of these is set; Replicated when none is."""

    replicated: Replicated | None = None
    # "global" is a keyword in Python
    global_: EmptyMode | None = msgspec.field(default=None, name="Global")
    replicated_job: ReplicatedJob | None = None
    global_job: EmptyMode | None = None


class Healthcheck(Value, frozen=True):
    """Docker's healthcheck. `test` is ["NONE"], ["CMD", …], ["CMD-SHELL", text], or empty for the image's own."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class DNSConfig(Value, frozen=True):
    """What goes into resolv.conf beside our own server."""

    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []


class FileTarget(Value, frozen=True):
    """Where a secret or config appears in the container."""

    name: str = ""
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444


class SecretReference(Value, frozen=True):
    """A secret a container uses."""

    file: FileTarget | None = None
    secret_id: str = ""
    secret_name: str = ""


class ConfigReference(Value, frozen=True):
    """A config a container uses."""

    file: FileTarget | None = None
    config_id: str = ""
    config_name: str = ""


class Ulimit(Value, frozen=True):
    """Soft and hard limit; -1 is unlimited."""

    name: str = ""
    soft: int = 0
    hard: int = 0


class SecurityProfile(Value, frozen=True):
    """Seccomp or AppArmor: `mode` is default, unconfined, disabled or custom."""

    mode: str = ""
    profile: str = ""


class SELinuxContext(Value, frozen=True):
    """SELinux labels of the container."""

    disable: bool = False
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class Privileges(Value, frozen=True):
    """Security options of a container."""

    seccomp: SecurityProfile | None = None
    app_armor: SecurityProfile | None = None
    no_new_privileges: bool = False
    se_linux_context: SELinuxContext | None = msgspec.field(default=None, name="SELinuxContext")


class ContainerSpec(Value, frozen=True):
    """What runs in a task's container."""

    image: str = ""
    labels: dict[str, str] = {}
    command: list[str] = []
    """Replaces the image's entrypoint."""
    args: list[str] = []
    """Replaces the image's command."""
    hostname: str = ""
    env: list[str] = []
    dir: str = ""
    user: str = ""
    groups: list[str] = []
    privileges: Privileges | None = None
    tty: bool = False
    open_stdin: bool = False
    read_only: bool = False
    mounts: list[Mount] = []
    stop_signal: str = ""
    stop_grace_period: int | None = None
    healthcheck: Healthcheck | None = None
    hosts: list[str] = []
    """Lines of /etc/hosts: "ADDRESS NAME …"."""
    dns_config: DNSConfig | None = None
    secrets: list[SecretReference] = []
    configs: list[ConfigReference] = []
    isolation: str = ""
    init: bool | None = None
    sysctls: dict[str, str] = {}
    capability_add: list[str] = []
    capability_drop: list[str] = []
    ulimits: list[Ulimit] = []
    oom_score_adj: int = 0
    domainname: str = ""
    pull_policy: Literal["", "always", "missing", "if_not_present", "never"] = ""
    platform: str = ""
    """Of the image, for one that has several: "linux/arm64/v8"."""
    host_config: HostConfig | None = None
    post_start: list[Hook] = []
    pre_stop: list[Hook] = []


class NamedResource(Value, frozen=True):
    """One named generic resource (gpu=UUID1)."""

    kind: str = ""
    value: str = ""


class DiscreteResource(Value, frozen=True):
    """So many of a generic resource (gpu=2)."""

    kind: str = ""
    value: int = 0


class GenericResource(Value, frozen=True):
    """One of the two forms."""

    named_resource_spec: NamedResource | None = None
    discrete_resource_spec: DiscreteResource | None = None


class Limits(Value, frozen=True):
    """What a container cannot exceed; 0 is no limit."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0
    """0 is what the host gives, -1 is no limit."""


class Reservations(Value, frozen=True):
    """What a node must have free to take the task."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic_resources: list[GenericResource] = []


class Resources(Value, frozen=True):
    """Limits and reservations of a task."""

    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(Value, frozen=True):
    """When an ended task is replaced."""

    condition: Literal["", "none", "on-failure", "any"] = ""
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None


class SpreadOver(Value, frozen=True):
    """Spread over the values of `node.labels.x`, `engine.labels.x`, …"""

    spread_descriptor: str = ""


class Preference(Value, frozen=True):
    """A placement preference."""

    spread: SpreadOver | None = None


class Platform(Value, frozen=True):
    """Machine and operating system, as Docker names them (amd64 or x86_64, linux)."""

    architecture: str = ""
    os: str = ""


class Placement(Value, frozen=True):
    """Which nodes may run a task."""

    constraints: list[str] = []
    preferences: list[Preference] = []
    max_replicas: int = 0
    platforms: list[Platform] = []


class NetworkTarget(Value, frozen=True):
    """A network a service is on. `target` is an id once the API has resolved the name."""

    target: str = ""
    aliases: list[str] = []
    driver_opts: dict[str, str] = {}
    mac_address: str = msgspec.field(default="", name="MacAddress")
    ipv4_address: str = ""
    """Without prefix length. Both for a service of one replica only."""


class TaskSpec(Value, frozen=True):
    """What each task of a service is; two revisions with equal TaskSpecs need no new tasks."""

    container_spec: ContainerSpec = ContainerSpec()
    resources: Resources | None = None
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None
    networks: list[NetworkTarget] = []
    log_driver: Driver | None = None
    force_update: int = 0
    runtime: str = ""


class UpdateConfig(Value, frozen=True):
    """How an update or a rollback proceeds."""

    parallelism: int | None = None
    delay: int = 0
    failure_action: Literal["", "pause", "continue", "rollback"] = ""
    monitor: int | None = None
    max_failure_ratio: float = 0.0
    order: Literal["", "stop-first", "start-first"] = ""
    progress_deadline: int | None = None
    """Nanoseconds without one more slot done after which it counts as failed, with the stuck task's own message."""


class PortConfig(Value, frozen=True):
    """A published port. `published_port` 0 asks for one from 30000–32767 (ingress) or a free one (host)."""

    name: str = ""
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    target_port: int = 0
    published_port: int = 0
    publish_mode: Literal["ingress", "host"] = "ingress"
    host_ip: str = ""
    """The only address of a host it answers at; "" for all. 127.0.0.1: to the host itself alone."""


class EndpointSpec(Value, frozen=True):
    """How a service is reached."""

    mode: Literal["", "vip", "dnsrr"] = ""
    ports: list[PortConfig] = []


class Dependency(Value, frozen=True):
    """What a service waits for before tasks of a new revision start. Compose's `depends_on`, kept by the managers."""

    service: str = ""
    """The other service's full name."""
    condition: Literal["started", "healthy", "completed"] = "started"
    restart: bool = False
    """Clients that replace the other service's tasks have this one's replaced too."""
    optional: bool = False
    """Whether a service that does not exist, or does not come up, is gone on without."""


class Schedule(Value, frozen=True):
    """When a job is run again (schedule.py). A job with a schedule runs when it is due, not when it is deployed."""

    cron: str = ""
    """Five fields (minute hour day month weekday), six with seconds first, or @daily and the like."""
    time_zone: str = ""
    """IANA name ("Europe/Berlin"); "" is UTC."""
    overlap: Literal["", "allow", "forbid", "replace"] = ""
    """When the run before is still at work: start beside it, wait for its end (the default), or stop it."""
    missed_window: int | None = None
    """Nanoseconds a run may be late. None: until the next one is due, and a minute at least."""
    history: int | None = None
    """Runs kept in the service's history."""
    suspend: bool = False
    """Runs that come due while this is set are passed over."""
    active_deadline: int | None = None
    """Nanoseconds a run may be at work; then its tasks are stopped, and it has failed. None: as long as it takes."""


class ServiceSpec(Value, frozen=True):
    """A service as its user wants it."""

    name: str = ""
    labels: dict[str, str] = {}
    task_template: TaskSpec = TaskSpec()
    mode: Mode = Mode()
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    networks: list[NetworkTarget] = []
    """Deprecated place for TaskTemplate.Networks; the API moves them there."""
    endpoint_spec: EndpointSpec | None = None
    depends_on: list[Dependency] = []
    schedule: Schedule | None = None
    """For jobs only. May be given by labels instead: `argosy.schedule` and others (api/service/schedule.py)."""
    revision_history: int | None = None
    """Revisions kept for rollback, the one in force among them."""
    rebalance: bool | None = None
    """Whether its tasks move to nodes that join or return. None: as the label `argosy.rebalance` of the service, then
    of the cluster, says; if none does, they stay."""


class NodeSpec(Value, frozen=True):
    """What a user says of a node."""

    name: str = ""
    labels: dict[str, str] = {}
    role: Role = Role.WORKER
    availability: Availability = Availability.ACTIVE
