"""What a container may ask of its host beyond what Swarm's specs can say: the Engine API's `HostConfig`, and hooks.

Names and units are those of Docker's `POST /containers/create`. Part of a ContainerSpec (service_spec.py); honoured by
the agent's runtime. Docker's own clients do not know these fields in a service: see `EXTENSIONS` there.
"""

from __future__ import annotations

import msgspec

from api.codec import Value


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
