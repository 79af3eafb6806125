"""What is wrong with the parts of a spec that reach for the host, its networks and its files.

Pure; sentences begin with the field's path. Rules: moby daemon/config and runconfig/hostconfig_unix.go, cli/opts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from api.service.free_form_options import sysctl_problems
from api.service.host_config import Device, Hook, HostConfig
from api.service.service_spec import ContainerSpec, FileTarget, Limits, NetworkTarget, ServiceSpec

Problems = Iterator[str]
NO_NETWORK = ("host", "none")
"""Targets that are no network: a service has at most one of them, and then nothing else."""
DEVICE_RULE = re.compile(r"[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}")
_ACCESS = re.compile(r"[rwm]{1,3}")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
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
    """Host access, hooks and files of a container."""
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


def network_problems(spec: ServiceSpec) -> Problems:
    """Addresses of a service's own, and networks that are none."""
    targets = spec.task_template.networks or spec.networks
    bare = [target.target for target in targets if target.target in NO_NETWORK]
    if bare and len(targets) > 1:
        yield f"TaskTemplate.Networks: {bare[0]} cannot be combined with other networks"
    if "host" in bare:
        sysctls = spec.task_template.container_spec.sysctls
        where = "TaskTemplate.ContainerSpec.Sysctls"
        yield from sysctl_problems(where, sysctls, host_network=True, host_ipc=False)
    ports = spec.endpoint_spec.ports if spec.endpoint_spec else []
    if bare and ports:
        why = "it has no network" if bare[0] == "none" else "on the host's network its ports are the host's anyway"
        yield f"EndpointSpec.Ports: a service on network {bare[0]} cannot publish ports: {why}"
    for number, target in enumerate(targets):
        if target.mac_address or target.ipv4_address:
            yield from _own_address(f"TaskTemplate.Networks[{number}]", target, spec)
    for number, port in enumerate(ports):
        if port.host_ip and not _is_ipv4(port.host_ip):
            yield f"EndpointSpec.Ports[{number}].HostIP: {port.host_ip!r} is not an IPv4 address"


def _own_address(path: str, target: NetworkTarget, spec: ServiceSpec) -> Problems:
    what = "IPv4Address" if target.ipv4_address else "MacAddress"
    if target.target in NO_NETWORK:
        yield f"{path}.{what}: network {target.target} has no addresses to give"
    mode = spec.mode
    single = not (mode.global_ or mode.global_job or mode.replicated_job) and (
        mode.replicated is None or mode.replicated.replicas in (None, 0, 1)
    )
    if not single:
        yield f"{path}.{what}: only a service of one replica can have an address of its own"
    for name, config in (("UpdateConfig", spec.update_config), ("RollbackConfig", spec.rollback_config)):
        if config and config.order == "start-first":
            yield f"{path}.{what}: two tasks would have it at once with {name}.Order start-first; use stop-first"
    if target.ipv4_address and not _is_ipv4(target.ipv4_address):
        yield f"{path}.IPv4Address: {target.ipv4_address!r} is not an IPv4 address"
    if target.mac_address and not (_MAC.fullmatch(target.mac_address) and not int(target.mac_address[1], 16) & 1):
        yield f"{path}.MacAddress: {target.mac_address!r} is not the MAC address of an interface (02:42:ac:11:00:02)"


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


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
