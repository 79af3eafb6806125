"""What this host says of itself in GET /info and GET /version; the node adds its part (`Swarm`)."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from agent.http.host_context import HostContext
from agent.runtime.bundle import cdi
from agent.runtime.host_features import CgroupMode, machine
from api.engine.common import timestamp
from api.engine.system import (
    Component,
    DiscoveredDevice,
    EngineDetails,
    InfoAnswer,
    PluginNames,
    RegistryConfig,
    RuntimePath,
    VersionAnswer,
    VersionPlatform,
)
from api.http.app import API_VERSION, MIN_API_VERSION
from api.version import release


async def engine_info(context: HostContext, labels: Sequence[str] = ()) -> InfoAnswer:
    """GET /info, but for `Swarm`. `labels` are the host's own, "key=value"."""
    containers = await context.runtime.containers()
    running = sum(1 for container in containers if container.started and not container.exit)
    is_v2 = context.runtime.cgroup_mode is CgroupMode.V2
    return InfoAnswer(
        id=context.node_id,
        name=context.hostname,
        server_version=release(),
        containers=len(containers),
        containers_running=running,
        containers_stopped=len(containers) - running,
        images=len(context.images.all()),
        driver="overlay2",
        driver_status=[["Image store", "containers/storage"]],
        plugins=PluginNames(["local"], ["bridge", "host", "overlay"], log=["json-file", "local", "none"]),
        memory_limit=True,
        swap_limit=is_v2 or Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists(),
        cpu_cfs_period=True,
        cpu_cfs_quota=True,
        cpu_shares=True,
        cpu_set=True,
        pids_limit=True,
        oom_kill_disable=not is_v2,
        ipv4_forwarding=_one("/proc/sys/net/ipv4/ip_forward"),
        bridge_nf_iptables=True,
        bridge_nf_ip6tables=True,
        kernel_version=platform.release(),
        operating_system=_system(),
        os_type="linux",
        architecture=platform.machine(),
        ncpu=os.cpu_count() or 1,
        mem_total=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        system_time=timestamp(context.clock()),
        logging_driver=context.runtime.usual.log_driver,
        cgroup_driver="cgroupfs",
        cgroup_version="2" if is_v2 else "1",
        docker_root_dir=context.data_root,
        index_server_address="https://index.docker.io/v1/",
        registry_config=RegistryConfig(["127.0.0.0/8"]),
        runtimes={context.runtime.name: RuntimePath(context.runtime.name)},
        default_runtime=context.runtime.name,
        security_options=["name=seccomp,profile=builtin"],
        init_binary="tini",
        live_restore_enabled=True,
        labels=list(labels),
        cdi_spec_dirs=[str(directory) for directory in cdi.DIRECTORIES],
        discovered_devices=[DiscoveredDevice("cdi", name) for name in sorted(cdi.read().devices)],
    )


def version_info() -> VersionAnswer:
    """GET /version."""
    kernel = platform.release()
    details = EngineDetails(API_VERSION, MIN_API_VERSION, machine(), "linux", kernel, experimental="false")
    return VersionAnswer(
        platform=VersionPlatform("Argosy"),
        components=[Component("Engine", release(), details)],
        version=release(),
        api_version=API_VERSION,
        min_api_version=MIN_API_VERSION,
        os="linux",
        arch=machine(),
        kernel_version=kernel,
    )


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _one(path: str) -> bool:
    try:
        return Path(path).read_text().strip() == "1"
    except OSError:
        return False
