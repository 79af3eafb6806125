"""A container's limits of CPU, memory, disks and devices: the OCI's `linux.resources`. Pure; Docker's rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci import oci_defaults
from api.service.host_config import HostConfig, ThrottleDevice
from api.service.resources import Limits

Json = dict[str, Any]
NOTHING = HostConfig()


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What this process may give to containers (it may lack CAP_SYS_RESOURCE), and what the kernel can limit."""

    may_raise: bool
    rlimits: Mapping[str, int] = field(default_factory=dict)
    """This process's hard limits by name ("nofile"); -1 is unlimited."""
    pids: int = 0
    """The limit of processes for containers whose specs set none; 0 is no limit."""
    oom_score_adj: int = 0
    swap_accounting: bool = False
    cgroup_v2: bool = False
    capabilities: frozenset[str] = frozenset(oci_defaults.ALL_CAPABILITIES)
    """The capabilities that this process may give: its bounding set."""
    apparmor: bool = False
    """Whether the kernel enforces AppArmor profiles."""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device node by its path in the container. `access` is a combination of r, w and m."""

    path: str
    kind: str
    """"c" or "b"."""
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


def resources(
    limits: Limits | None,
    host: HostLimits,
    wanted: HostConfig = NOTHING,
    nodes: Iterable[DeviceNode] = (),
    disks: Mapping[str, tuple[int, int]] | None = None,
) -> Json:
    """All limits of a container. `disks` has the numbers of the block devices that the spec names, by path.

    Raises RuntimeFailure for a setting that the host cannot enforce.
    """
    found: Json = {"devices": device_rules(wanted, nodes)}
    parts = {"cpu": _cpu(limits, wanted), "memory": _memory(limits, wanted, host), "blockIO": _disks(wanted, disks)}
    found |= {name: part for name, part in parts.items() if part}
    if (pids := (limits.pids if limits else 0) or host.pids) > 0:
        found["pids"] = {"limit": pids}
    return found


def device_rules(wanted: HostConfig, nodes: Iterable[DeviceNode]) -> list[Json]:
    """The rules of the devices cgroup: allow all if privileged; else the defaults, the nodes, and the spec's rules."""
    if wanted.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[Json] = list(oci_defaults.DEVICES)
    for node in nodes:
        rules.append(
            {"allow": True, "type": node.kind, "major": node.major, "minor": node.minor, "access": node.access}
        )
    return [*rules, *(device_rule(text) for text in wanted.device_cgroup_rules)]


def device_rule(text: str) -> Json:
    """A rule such as "c 1:3 mr", with "*" for any number, in the OCI's form. Raises RuntimeFailure."""
    try:
        kind, numbers, access = text.split()
        major, _, minor = numbers.partition(":")
        rule: Json = {"allow": True, "type": kind, "access": access}
        rule |= {name: int(value) for name, value in (("major", major), ("minor", minor)) if value != "*"}
    except ValueError:
        raise RuntimeFailure(f"invalid device cgroup rule {text!r}: it must be like 'c 1:3 mr'") from None
    return rule


def _cpu(limits: Limits | None, wanted: HostConfig) -> Json:
    found: Json = {}
    if limits and limits.nano_cpus:
        quota = max(1000, limits.nano_cpus * oci_defaults.CPU_PERIOD // 1_000_000_000)
        found |= {"quota": quota, "period": oci_defaults.CPU_PERIOD}
    values = {
        "shares": wanted.cpu_shares,
        "quota": wanted.cpu_quota,
        "period": wanted.cpu_period,
        "realtimePeriod": wanted.cpu_realtime_period,
        "realtimeRuntime": wanted.cpu_realtime_runtime,
        "cpus": wanted.cpuset_cpus,
        "mems": wanted.cpuset_mems,
    }
    return found | {name: value for name, value in values.items() if value}


def _memory(limits: Limits | None, wanted: HostConfig, host: HostLimits) -> Json:
    """The memory limits. As in Docker, memory and swap together default to twice the memory limit."""
    found: Json = {}
    if limits and limits.memory_bytes:
        found["limit"] = limits.memory_bytes
        if host.swap_accounting:
            found["swap"] = 2 * limits.memory_bytes
    if wanted.memory_swap:
        if not (host.swap_accounting or host.cgroup_v2):
            raise RuntimeFailure("MemorySwap cannot be kept: this host's kernel does not count swap (swapaccount=1)")
        found["swap"] = wanted.memory_swap
    if wanted.memory_reservation:
        found["reservation"] = wanted.memory_reservation
    for name, field_name, value in (
        ("swappiness", "MemorySwappiness", wanted.memory_swappiness),
        ("disableOOMKiller", "OomKillDisable", wanted.oom_kill_disable or None),
    ):
        if value is not None and host.cgroup_v2:
            raise RuntimeFailure(f"{field_name} cannot be kept: cgroup v2, which this host has, knows no such setting")
        found |= {} if value is None else {name: value}
    return found


def _disks(wanted: HostConfig, disks: Mapping[str, tuple[int, int]] | None) -> Json:
    known = disks or {}

    def one(path: str, name: str, value: int) -> Json:
        major, minor = known[path]
        return {"major": major, "minor": minor, name: value}

    def rates(devices: Sequence[ThrottleDevice]) -> list[Json]:
        return [one(device.path, "rate", device.rate) for device in devices]

    found: Json = {
        "weight": wanted.blkio_weight,
        "weightDevice": [one(device.path, "weight", device.weight) for device in wanted.blkio_weight_device],
        "throttleReadBpsDevice": rates(wanted.blkio_device_read_bps),
        "throttleWriteBpsDevice": rates(wanted.blkio_device_write_bps),
        "throttleReadIOPSDevice": rates(wanted.blkio_device_read_iops),
        "throttleWriteIOPSDevice": rates(wanted.blkio_device_write_iops),
    }
    return {name: value for name, value in found.items() if value}
