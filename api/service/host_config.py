"""What a container may ask of its host beyond what Swarm's specs can say: the Engine API's `HostConfig`, and hooks.

Names and units are those of Docker's `POST /containers/create`. Part of a ContainerSpec; honoured by the agent's
runtime. Docker's own clients do not know these fields in a service: see manager/http/services/preserved_fields.py.

Here, too: which devices of a host a request means (names in the host's CDI files, or a number of GPUs). The scheduler
needs it to find a host, and the host to make the container.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from api.codec import Value
from api.errors import NotFound

ALL = "all"
"""The name, in CDI files, of all devices of a kind together."""


class Device(Value, frozen=True):
    """A device node of the host, or a directory of them, in the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    """"" for the same path."""
    cgroup_permissions: str = "rwm"


class DeviceRequest(Value, frozen=True):
    """Devices by what they can do. Driver "cdi": `device_ids` are names such as "vendor.com/class=name".

    Any other driver (or none) with the capability "gpu" takes what the host's CDI files call "<vendor>/gpu".
    """

    driver: str = ""
    count: int = 0
    """-1 for all; 0 when `device_ids` names them."""
    device_ids: list[str] = []
    capabilities: list[list[str]] = []
    options: dict[str, str] = {}


class WeightDevice(Value, frozen=True):
    """A block device's share of I/O, 10 to 1000."""

    path: str = ""
    weight: int = 0


class ThrottleDevice(Value, frozen=True):
    """A block device's limit, in bytes or operations per second."""

    path: str = ""
    rate: int = 0


class HostConfig(Value, frozen=True):
    """What a container gets of its host. None, 0 and empty: Docker's default."""

    privileged: bool = False
    devices: list[Device] = []
    device_cgroup_rules: list[str] = []
    """As in the devices cgroup: "c 1:3 mr"."""
    device_requests: list[DeviceRequest] = []
    shm_size: int = 0
    """Bytes of /dev/shm."""
    ipc_mode: str = ""
    """private, shareable, host or none."""
    pid_mode: str = msgspec.field(default="", name="PidMode")
    """host, or "" for its own."""
    uts_mode: str = msgspec.field(default="", name="UTSMode")
    """host, or "" for its own."""
    userns_mode: str = ""
    """host, or "", which is the same: containers run in the host's user namespace."""
    cgroupns_mode: str = ""
    """private or host."""
    cgroup_parent: str = ""
    annotations: dict[str, str] = {}
    runtime: str = ""
    """Name of the OCI runtime: runc or crun; "" for the host's choice."""
    oom_kill_disable: bool = False
    cpu_shares: int = msgspec.field(default=0, name="CpuShares")
    cpu_period: int = msgspec.field(default=0, name="CpuPeriod")
    """Microseconds, as all of these."""
    cpu_quota: int = msgspec.field(default=0, name="CpuQuota")
    cpu_realtime_period: int = msgspec.field(default=0, name="CpuRealtimePeriod")
    cpu_realtime_runtime: int = msgspec.field(default=0, name="CpuRealtimeRuntime")
    cpuset_cpus: str = msgspec.field(default="", name="CpusetCpus")
    cpuset_mems: str = ""
    memory_reservation: int = 0
    """Bytes the container is pushed back to when the host runs short (a soft limit)."""
    memory_swap: int = 0
    """Bytes of memory and swap together; -1 is unlimited."""
    memory_swappiness: int | None = None
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] = []
    blkio_device_read_bps: list[ThrottleDevice] = []
    blkio_device_write_bps: list[ThrottleDevice] = []
    blkio_device_read_iops: list[ThrottleDevice] = msgspec.field(default=[], name="BlkioDeviceReadIOps")
    blkio_device_write_iops: list[ThrottleDevice] = msgspec.field(default=[], name="BlkioDeviceWriteIOps")
    storage_opt: dict[str, str] = {}
    """Refused: root filesystems have no quota."""
    masked_paths: list[str] | None = None
    """None: the usual ones; empty: none (`security_opt: systempaths=unconfined`)."""
    readonly_paths: list[str] | None = None


class Hook(Value, frozen=True):
    """A command run in a running container (`post_start`, `pre_stop`). User and directory "": the container's own."""

    command: list[str] = []
    user: str = ""
    privileged: bool = False
    environment: list[str] = []
    working_dir: str = ""


def device_names(request: DeviceRequest, offered: Sequence[str]) -> list[str]:
    """The requested devices ("vendor.com/class=name") of those a host offers. Raises NotFound for missing ones.

    What is asked for as a GPU, as Docker's `--gpus` does, is looked up among the devices of a kind "<vendor>/gpu".
    """
    names = request.device_ids if request.driver == "cdi" else _gpus(request, offered)
    if missing := [name for name in names if name not in offered]:
        raise NotFound(f"this host offers no device {missing[0]}")
    return names


def offers_devices(requests: Iterable[DeviceRequest], offered: Sequence[str]) -> bool:
    """Whether a host that offers these devices can satisfy all requests."""
    try:
        return all(device_names(request, offered) is not None for request in requests)
    except NotFound:
        return False


def devices_text(requests: Iterable[DeviceRequest]) -> str:
    """The requests as text for people: "acme.com/card=one", "2 GPUs"."""
    return ", ".join(part for request in requests for part in _device_text(request))


def _device_text(request: DeviceRequest) -> list[str]:
    if request.driver == "cdi":
        return request.device_ids
    if request.device_ids:
        return [f"GPU {name}" for name in request.device_ids]
    return ["GPUs"] if request.count < 0 else ["a GPU"] if request.count == 1 else [f"{request.count} GPUs"]


def _gpus(request: DeviceRequest, offered: Sequence[str]) -> list[str]:
    every = [name for name in offered if name.partition("=")[0].endswith("/gpu")]
    if not every:
        raise NotFound("this host offers no GPU")
    kind = every[0].partition("=")[0]
    if request.device_ids:
        return [f"{kind}={id}" for id in request.device_ids]
    single = sorted((name for name in every if name.startswith(f"{kind}=") and name != f"{kind}={ALL}"), key=_order)
    if request.count < 0:
        return [f"{kind}={ALL}"] if f"{kind}={ALL}" in every else single
    if request.count > len(single):
        raise NotFound(f"{request.count} GPUs are asked for, and this host offers {len(single)}")
    return single[: request.count]


def _order(name: str) -> tuple[list[int], str]:
    return [int(digits) for digits in re.findall(r"\d+", name)], name
