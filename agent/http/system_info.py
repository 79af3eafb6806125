"""What this host says of itself in GET /info and GET /version; the node adds its part (`Swarm`)."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from agent.http.host_context import HostContext
from agent.runtime.bundle import cdi
from agent.runtime.host_features import CgroupMode, machine
from api.engine.common import timestamp
from api.engine.system import Component, EngineDetails, VersionAnswer, VersionPlatform
from api.http.app import API_VERSION, MIN_API_VERSION
from api.version import release


async def engine_info(context: HostContext) -> dict[str, Any]:
    """GET /info, but for `Swarm`."""
    containers = await context.runtime.containers()
    running = sum(1 for container in containers if container.started and not container.exit)
    return {
        "ID": context.node_id,
        "Name": context.hostname,
        "ServerVersion": release(),
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": len(containers) - running,
        "Images": len(context.images.all()),
        "Driver": "overlay2",
        "DriverStatus": [["Image store", "containers/storage"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "overlay"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        **_limits(context),
        **_machine(),
        "SystemTime": timestamp(context.clock()),
        "LoggingDriver": context.runtime.usual.log_driver,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if context.runtime.cgroup_mode is CgroupMode.V2 else "1",
        "DockerRootDir": context.data_root,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": None},
        "Runtimes": {context.runtime.name: {"path": context.runtime.name}},
        "DefaultRuntime": context.runtime.name,
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "InitBinary": "tini",
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "ExperimentalBuild": False,
        "Debug": False,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "GenericResources": None,
        "CDISpecDirs": [str(directory) for directory in cdi.DIRECTORIES],
        "DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in sorted(cdi.read().devices)],
        "Warnings": None,
    }


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


def _limits(context: HostContext) -> dict[str, Any]:
    v2 = context.runtime.cgroup_mode is CgroupMode.V2
    swap = v2 or Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()
    return {
        "MemoryLimit": True,
        "SwapLimit": swap,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "OomKillDisable": not v2,
        "IPv4Forwarding": _one("/proc/sys/net/ipv4/ip_forward"),
        "BridgeNfIptables": True,
        "BridgeNfIp6tables": True,
    }


def _machine() -> dict[str, Any]:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "KernelVersion": platform.release(),
        "OperatingSystem": _system(),
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": pages * page,
    }


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
