"""Resource use of a container: the lines of GET /containers/{id}/stats.

Units are Docker's: nanoseconds, bytes, and counters since the container's start. For a container that has
ended, each resource is an empty object.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from api.engine.common import Empty, FullAnswer


class Statistics(FullAnswer, frozen=True, rename="lower"):
    """Base of the parts: Docker spells their fields in lower case, as we do."""


class PidsStats(Statistics, frozen=True):
    """Processes and threads."""

    current: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class BlockOperation(Statistics, frozen=True):
    """Bytes read from, or written to, one device."""

    major: int = 0
    minor: int = 0
    op: str = ""
    value: int = 0


class BlockStats(Statistics, frozen=True):
    """Disks."""

    io_service_bytes_recursive: list[BlockOperation] | UnsetType = UNSET


class CpuUsage(Statistics, frozen=True):
    """CPU time, in nanoseconds."""

    total_usage: int = 0
    usage_in_usermode: int = 0
    usage_in_kernelmode: int = 0


class ThrottlingData(Statistics, frozen=True):
    """How often the limit was reached, and for how long."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(Statistics, frozen=True):
    """CPU time of the container and of the whole host."""

    cpu_usage: CpuUsage | UnsetType = UNSET
    system_cpu_usage: int | UnsetType = UNSET
    online_cpus: int | UnsetType = UNSET
    throttling_data: ThrottlingData | UnsetType = UNSET


class MemoryStats(Statistics, frozen=True):
    """Memory; `stats` is the control group's own table."""

    usage: int | UnsetType = UNSET
    stats: dict[str, int] | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class NetworkStats(Statistics, frozen=True):
    """One network interface."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class StatsAnswer(Statistics, frozen=True):
    """A line of GET /containers/{id}/stats; `precpu_stats` and `preread` repeat the line before."""

    id: str = ""
    name: str = ""
    read: str = ""
    preread: str = ""
    num_procs: int = 0
    storage_stats: Empty = Empty()
    precpu_stats: CpuStats = CpuStats()
    pids_stats: PidsStats = PidsStats()
    blkio_stats: BlockStats = BlockStats()
    cpu_stats: CpuStats = CpuStats()
    memory_stats: MemoryStats = MemoryStats()
    networks: dict[str, NetworkStats] | UnsetType = UNSET
