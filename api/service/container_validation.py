"""What is wrong with a container's spec: its own fields, and what it asks of the host, of networks and of files.

Pure; sentences begin with the field's path. Rules: swarmkit manager/controlapi/service.go, moby daemon/config and
runconfig/hostconfig_unix.go, cli/opts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from api import image_reference
from api.field_rules import Problems, is_address, label_problems, parse_problems
from api.service import free_form_options
from api.service.container import MOUNT_TYPES, PROPAGATIONS, ContainerSpec, FileTarget, Healthcheck, Mount
from api.service.host_config import Device, Hook, HostConfig
from api.service.resources import Limits

HOST_GATEWAY = "host-gateway"
"""In place of an address in `Hosts`: the host that the task runs on."""
LEAST_HEALTH_TIME = 1_000_000
"""Nanoseconds: Docker refuses health durations under a millisecond."""
DEVICE_RULE = re.compile(r"[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}")
_ACCESS = re.compile(r"[rwm]{1,3}")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_MODES = {
    "ipc_mode": ("IpcMode", ("", "private", "shareable", "host", "none")),
    "pid_mode": ("PidMode", ("", "host")),
    "uts_mode": ("UTSMode", ("", "host")),
    "userns_mode": ("UsernsMode", ("", "host")),
    "cgroupns_mode": ("CgroupnsMode", ("", "private", "host")),
}
_NOT_NEGATIVE = {
    "shm_size": "ShmSize", "cpu_shares": "CpuShares", "cpu_period": "CpuPeriod", "cpu_realtime_period":
    "CpuRealtimePeriod", "cpu_realtime_runtime": "CpuRealtimeRuntime", "memory_reservation": "MemoryReservation",
}  # fmt: skip


def container_problems(path: str, spec: ContainerSpec, limits: Limits | None) -> Problems:
    """What is wrong with a container's spec, beside limits of its resources."""
    yield from _container_problems(path, spec)
    yield from _host_problems(path, spec, limits)


def _container_problems(path: str, spec: ContainerSpec) -> Problems:
    if not spec.image:
        yield f"{path}.Image: image reference must be provided"
    else:
        yield from parse_problems(f"{path}.Image", image_reference.parse, spec.image)
    yield from label_problems(f"{path}.Labels", spec.labels)
    yield from _mount_problems(f"{path}.Mounts", spec.mounts)
    yield from _health_problems(f"{path}.Healthcheck", spec.healthcheck)
    for number, entry in enumerate(spec.env):
        if not entry or entry.startswith("="):
            yield f"{path}.Env[{number}]: {entry!r} has no name; it must be NAME=VALUE"
    for number, line in enumerate(spec.hosts):
        address, _, names = line.partition(" ")
        if not (is_address(address) or address == HOST_GATEWAY) or not names.strip():
            yield f"{path}.Hosts[{number}]: {line!r} is not of the form 'ADDRESS NAME …'"
    for number, server in enumerate(spec.dns_config.nameservers if spec.dns_config else ()):
        if not is_address(server):
            yield f"{path}.DNSConfig.Nameservers[{number}]: {server!r} is not an IP address"
    if dns := spec.dns_config:
        yield from free_form_options.line_problems(f"{path}.DNSConfig", _numbered("Search", dns.search))
        yield from free_form_options.line_problems(f"{path}.DNSConfig", _numbered("Options", dns.options))
    yield from free_form_options.line_problems(path, {".Hostname": spec.hostname, ".Domainname": spec.domainname})
    yield from free_form_options.line_problems(path, _numbered("Hosts", spec.hosts))
    yield from _sysctl_problems(f"{path}.Sysctls", spec)
    for limit in spec.ulimits:
        if limit.name.lower() not in free_form_options.ULIMITS:
            yield f"{path}.Ulimits: {limit.name!r} is none of {', '.join(sorted(free_form_options.ULIMITS))}"
        elif limit.hard != -1 and not -1 <= limit.soft <= limit.hard:
            yield f"{path}.Ulimits: {limit.name}: the soft limit ({limit.soft}) exceeds the hard one ({limit.hard})"
    if spec.stop_grace_period is not None and spec.stop_grace_period < 0:
        yield f"{path}.StopGracePeriod: must not be negative"
    if not -1000 <= spec.oom_score_adj <= 1000:
        yield f"{path}.OomScoreAdj: {spec.oom_score_adj} is not from -1000 to 1000"


def _numbered(name: str, texts: Iterable[str]) -> dict[str, str]:
    return {f".{name}[{number}]": text for number, text in enumerate(texts)}


def _sysctl_problems(path: str, spec: ContainerSpec) -> Problems:
    host_ipc = bool(spec.host_config and spec.host_config.ipc_mode == "host")
    # whether it is on the host's network is the service's to say: service_validation.py
    yield from free_form_options.sysctl_problems(path, spec.sysctls, host_network=False, host_ipc=host_ipc)


def _mount_problems(path: str, mounts: list[Mount]) -> Problems:
    seen: set[str] = set()
    for number, mount in enumerate(mounts):
        here = f"{path}[{number}]"
        if mount.type not in MOUNT_TYPES:
            continue  # refused, whatever it says
        if not mount.target.startswith("/"):
            yield f"{here}.Target: {mount.target!r} must be an absolute path"
        target = mount.target.rstrip("/")
        if target == "" and mount.target:
            yield f"{here}.Target: invalid mount target, must not be /"
        if target in seen:
            yield f"{here}.Target: duplicate mount point: {mount.target}"
        seen.add(target)
        if mount.type == "bind" and not mount.source.startswith("/"):
            yield f"{here}.Source: invalid bind mount source, must be an absolute path: {mount.source!r}"
        if mount.type == "tmpfs" and mount.source:
            yield f"{here}.Source: invalid tmpfs source, source must be empty"
        if mount.type == "volume" and ("/" in mount.source or mount.source in (".", "..")):
            yield f"{here}.Source: {mount.source!r} is not a volume name; for a host path use type bind"
        if mount.bind_options and mount.bind_options.propagation not in ("", *PROPAGATIONS):
            words = ", ".join(PROPAGATIONS)
            yield f"{here}.BindOptions.Propagation: {mount.bind_options.propagation!r} is not one of {words}"
        driver = mount.volume_options.driver_config if mount.volume_options else None
        if driver and driver.name in ("", "local"):
            yield from free_form_options.volume_option_problems(
                f"{here}.VolumeOptions.DriverConfig.Options", driver.options
            )
        if mount.tmpfs_options and mount.tmpfs_options.size_bytes < 0:
            yield f"{here}.TmpfsOptions.SizeBytes: must not be negative"


def _health_problems(path: str, check: Healthcheck | None) -> Problems:
    if check is None:
        return
    if check.test and check.test[0] not in ("", "NONE", "CMD", "CMD-SHELL"):
        yield f"{path}.Test: begins with {check.test[0]!r}; NONE, CMD or CMD-SHELL is needed"
    for name in ("interval", "timeout", "start_period", "start_interval"):
        value = getattr(check, name)
        if value != 0 and value < LEAST_HEALTH_TIME:
            yield f"{path}.{name.title().replace('_', '')}: {value} ns cannot be less than 1ms"
    if check.retries < 0:
        yield f"{path}.Retries: must not be negative"


def _host_problems(path: str, spec: ContainerSpec, limits: Limits | None) -> Problems:
    """Host access, hooks and files."""
    if host := spec.host_config:
        yield from _host(f"{path}.HostConfig", host, limits or Limits())
        if host.uts_mode == "host" and (spec.hostname or spec.domainname):
            yield f"{path}.Hostname: cannot be set in the host's UTS namespace"
    for name, hooks in (("PostStart", spec.post_start), ("PreStop", spec.pre_stop)):
        for number, hook in enumerate(hooks):
            yield from _hook(f"{path}.{name}[{number}]", hook)
    for number, secret in enumerate(spec.secrets):
        yield from _file(f"{path}.Secrets[{number}].File", secret.file)
    for number, config in enumerate(spec.configs):
        yield from _file(f"{path}.Configs[{number}].File", config.file)
    if spec.platform and not re.fullmatch(r"linux/[a-z0-9_]+(/v\d+)?", spec.platform):
        yield f"{path}.Platform: {spec.platform!r} is not of the form linux/ARCHITECTURE[/VARIANT]"


def _host(path: str, host: HostConfig, limits: Limits) -> Problems:
    for field, (name, known) in _MODES.items():
        if (value := getattr(host, field)) not in known:
            yield f"{path}.{name}: {value!r} is not possible; {', '.join(mode for mode in known if mode)} is"
    for field, name in _NOT_NEGATIVE.items():
        if getattr(host, field) < 0:
            yield f"{path}.{name}: must not be negative"
    for number, device in enumerate(host.devices):
        yield from _device(f"{path}.Devices[{number}]", device)
    for number, rule in enumerate(host.device_cgroup_rules):
        if not DEVICE_RULE.fullmatch(rule):
            yield f"{path}.DeviceCgroupRules[{number}]: {rule!r} is not of the form 'c 1:3 mr'"
    for name, text in (("CpusetCpus", host.cpuset_cpus), ("CpusetMems", host.cpuset_mems)):
        if text and not _CPUS.fullmatch(text):
            yield f"{path}.{name}: {text!r} is not a list of numbers like 0-3,5"
    if ".." in host.cgroup_parent.split("/") or "\0" in host.cgroup_parent:
        yield f"{path}.CgroupParent: {host.cgroup_parent!r} must not lead out of the cgroup it is in"
    for name in host.annotations:
        if name.startswith("run.oci."):
            yield f"{path}.Annotations.{name}: is an order to the runtime itself, which is not the user's to give"
    yield from _cpu(path, host, limits)
    yield from _memory(path, host, limits)
    yield from _blkio(path, host)


def _device(path: str, device: Device) -> Problems:
    if not device.path_on_host.startswith("/"):
        yield f"{path}.PathOnHost: {device.path_on_host!r} must be an absolute path"
    if device.path_in_container and not device.path_in_container.startswith("/"):
        yield f"{path}.PathInContainer: {device.path_in_container!r} must be an absolute path"
    if not _ACCESS.fullmatch(device.cgroup_permissions or "rwm"):
        yield f"{path}.CgroupPermissions: {device.cgroup_permissions!r} is not made of r, w and m"


def _cpu(path: str, host: HostConfig, limits: Limits) -> Problems:
    if limits.nano_cpus and (host.cpu_quota or host.cpu_period):
        yield f"{path}.CpuQuota: conflicting options: NanoCPUs and CpuQuota or CpuPeriod cannot both be set"
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        yield f"{path}.CpuPeriod: {host.cpu_period} is not from 1000 (1 ms) to 1000000 (1 s)"
    if 0 < host.cpu_quota < 1000:
        yield f"{path}.CpuQuota: {host.cpu_quota} cannot be less than 1000 (1 ms)"
    if host.cpu_realtime_runtime > host.cpu_realtime_period:
        yield f"{path}.CpuRealtimeRuntime: cannot be higher than CpuRealtimePeriod"


def _memory(path: str, host: HostConfig, limits: Limits) -> Problems:
    if host.memory_swap and not limits.memory_bytes:
        yield f"{path}.MemorySwap: you should always set the memory limit when using the memory and swap limit"
    elif host.memory_swap < -1 or 0 < host.memory_swap < limits.memory_bytes:
        yield f"{path}.MemorySwap: minimum memory and swap limit should be larger than the memory limit"
    if limits.memory_bytes and host.memory_reservation > limits.memory_bytes:
        yield f"{path}.MemoryReservation: minimum memory limit can not be less than memory reservation limit"
    if host.memory_swappiness is not None and not 0 <= host.memory_swappiness <= 100:
        yield f"{path}.MemorySwappiness: {host.memory_swappiness} is not from 0 to 100"
    if host.shm_size and host.ipc_mode in ("host", "none"):
        yield f"{path}.ShmSize: cannot be set with IpcMode {host.ipc_mode}"


def _blkio(path: str, host: HostConfig) -> Problems:
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        yield f"{path}.BlkioWeight: {host.blkio_weight} is not from 10 to 1000"
    for number, device in enumerate(host.blkio_weight_device):
        if not 10 <= device.weight <= 1000:
            yield f"{path}.BlkioWeightDevice[{number}].Weight: {device.weight} is not from 10 to 1000"
    throttled = (
        *host.blkio_device_read_bps, *host.blkio_device_write_bps,
        *host.blkio_device_read_iops, *host.blkio_device_write_iops,
    )  # fmt: skip
    for disk in (*(limit.path for limit in throttled), *(device.path for device in host.blkio_weight_device)):
        if not disk.startswith("/"):
            yield f"{path}.Blkio: {disk!r} must be the absolute path of a block device"
    if any(limit.rate <= 0 for limit in throttled):
        yield f"{path}.Blkio: a rate must be positive"


def _hook(path: str, hook: Hook) -> Problems:
    if not hook.command:
        yield f"{path}.Command: a hook needs a command"
    if hook.working_dir and not hook.working_dir.startswith("/"):
        yield f"{path}.WorkingDir: {hook.working_dir!r} must be an absolute path"
    for number, entry in enumerate(hook.environment):
        if not entry or entry.startswith("="):
            yield f"{path}.Environment[{number}]: {entry!r} has no name; it must be NAME=VALUE"


def _file(path: str, target: FileTarget | None) -> Problems:
    if target is None:
        return
    if ".." in target.name.split("/") or target.name.endswith("/"):
        yield f"{path}.Name: {target.name!r} is not the path of a file in the container"
    for name, value in (("UID", target.uid), ("GID", target.gid)):
        if value and not (value.isascii() and value.isdecimal() and int(value) < 2**32 - 1):
            yield f"{path}.{name}: {value!r} is not a numeric id"
    if not 0 <= target.mode <= 0o7777:
        yield f"{path}.Mode: {target.mode:o} is not a file mode"
