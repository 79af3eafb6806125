"""A host as a whole: the bodies of /info, /version, /events, /system/df and /build/prune."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from api.engine.common import FullAnswer
from api.engine.containers import ContainerSummaryAnswer
from api.engine.images import ImageSummaryAnswer
from api.engine.swarm import SwarmInfoAnswer
from api.engine.volumes import VolumeAnswer


class PluginNames(FullAnswer, frozen=True):
    """Drivers of each kind."""

    volume: list[str] = []
    network: list[str] = []
    authorization: list[str] | None = None
    log: list[str] = []


class RegistryConfig(FullAnswer, frozen=True):
    """How registries are reached."""

    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs", default=[])
    index_configs: dict[str, str] = {}
    mirrors: list[str] | None = None


class RuntimePath(FullAnswer, frozen=True, rename="lower"):
    """The path of an OCI runtime's executable."""

    path: str = ""


class DiscoveredDevice(FullAnswer, frozen=True):
    """A device that containers can be given by name."""

    source: str = ""
    id: str = ""


class InfoAnswer(FullAnswer, frozen=True):
    """GET /info. `mem_total` is in bytes."""

    id: str = ""
    containers: int = 0
    containers_running: int = 0
    containers_paused: int = 0
    containers_stopped: int = 0
    images: int = 0
    driver: str = ""
    driver_status: list[list[str]] = []
    plugins: PluginNames = PluginNames()
    memory_limit: bool = False
    swap_limit: bool = False
    cpu_cfs_period: bool = field(name="CpuCfsPeriod", default=False)
    cpu_cfs_quota: bool = field(name="CpuCfsQuota", default=False)
    cpu_shares: bool = field(name="CPUShares", default=False)
    cpu_set: bool = field(name="CPUSet", default=False)
    pids_limit: bool = False
    ipv4_forwarding: bool = False
    bridge_nf_iptables: bool = False
    bridge_nf_ip6tables: bool = False
    debug: bool = False
    oom_kill_disable: bool = False
    system_time: str = ""
    logging_driver: str = ""
    cgroup_driver: str = ""
    cgroup_version: str = ""
    kernel_version: str = ""
    operating_system: str = ""
    os_version: str = ""
    os_type: str = ""
    architecture: str = ""
    index_server_address: str = ""
    registry_config: RegistryConfig = RegistryConfig()
    ncpu: int = field(name="NCPU", default=0)
    mem_total: int = 0
    generic_resources: list[str] | None = None
    docker_root_dir: str = ""
    http_proxy: str = field(name="HttpProxy", default="")
    https_proxy: str = field(name="HttpsProxy", default="")
    no_proxy: str = ""
    name: str = ""
    labels: list[str] = []
    experimental_build: bool = False
    server_version: str = ""
    runtimes: dict[str, RuntimePath] = {}
    default_runtime: str = ""
    swarm: SwarmInfoAnswer = SwarmInfoAnswer()
    live_restore_enabled: bool = False
    isolation: str = ""
    init_binary: str = ""
    security_options: list[str] = []
    cdi_spec_dirs: list[str] = field(name="CDISpecDirs", default=[])
    discovered_devices: list[DiscoveredDevice] = []
    warnings: list[str] | None = None


class EngineDetails(FullAnswer, frozen=True):
    """Details of the component Engine in GET /version; Docker writes all of them as strings."""

    api_version: str = field(name="ApiVersion", default="")
    min_api_version: str = field(name="MinAPIVersion", default="")
    arch: str = ""
    os: str = field(name="Os", default="")
    kernel_version: str = ""
    git_commit: str = ""
    go_version: str = ""
    build_time: str = ""
    experimental: str = ""


class Component(FullAnswer, frozen=True):
    """A part of the daemon."""

    name: str = ""
    version: str = ""
    details: EngineDetails = EngineDetails()


class VersionPlatform(FullAnswer, frozen=True):
    """The product's name."""

    name: str = ""


class VersionAnswer(FullAnswer, frozen=True):
    """GET /version."""

    platform: VersionPlatform = VersionPlatform()
    components: list[Component] = []
    version: str = ""
    api_version: str = field(name="ApiVersion", default="")
    min_api_version: str = field(name="MinAPIVersion", default="")
    git_commit: str = ""
    go_version: str = ""
    os: str = field(name="Os", default="")
    arch: str = ""
    kernel_version: str = ""
    build_time: str = ""


class DiskUsageAnswer(FullAnswer, frozen=True):
    """GET /system/df: only the parts that were asked for. `layers_size` is in bytes."""

    layers_size: int | UnsetType = UNSET
    images: list[ImageSummaryAnswer] | UnsetType = UNSET
    containers: list[ContainerSummaryAnswer] | UnsetType = UNSET
    volumes: list[VolumeAnswer] | UnsetType = UNSET
    build_cache: list[str] | UnsetType = UNSET


class BuildPruneAnswer(FullAnswer, frozen=True):
    """POST /build/prune. `space_reclaimed` is in bytes."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0
