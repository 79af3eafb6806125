"""What a running container uses now: processor, memory, I/O, processes and network, from cgroup v1, hybrid or v2.

Numbers and units are those of Docker's stats: nanoseconds, bytes, and counters since the container's start.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
_NO_LIMIT = 1 << 60
"""A limit so high is none (v1 writes 2^63 rounded down to a page)."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A network interface's or block device's counters."""

    received: int = 0
    sent: int = 0
    packets_received: int = 0
    packets_sent: int = 0
    errors_received: int = 0
    errors_sent: int = 0
    dropped_received: int = 0
    dropped_sent: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading."""

    cpu: int = 0
    cpu_user: int = 0
    cpu_system: int = 0
    throttled: tuple[int, int, int] = (0, 0, 0)
    """Periods, throttled periods, throttled nanoseconds."""
    memory: int = 0
    memory_limit: int = 0
    """0 for none."""
    memory_stats: dict[str, int] = field(default_factory=dict)
    blocks: list[tuple[int, int, str, int]] = field(default_factory=list)
    """Major, minor, "read" or "write", bytes."""
    processes: int = 0
    processes_limit: int = 0
    networks: dict[str, Transfer] = field(default_factory=dict)


class Cgroups:
    """The cgroups that a process is in, as this process sees them."""

    def __init__(self, pid: int, proc: Path = PROC, root: Path = CGROUPS) -> None:
        """Raises OSError when there is no such process."""
        self._root = root
        self._paths: dict[str, str] = {}
        for line in (proc / str(pid) / "cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            for name in names.split(","):
                self._paths[name.removeprefix("name=")] = path
        self.unified = not (set(self._paths) - {"", "systemd"})
        """Whether v2 has all controllers."""

    def directory(self, controller: str) -> Path:
        """Where a controller's files are."""
        if self.unified:
            return self._root / self._paths.get("", "/").lstrip("/")
        return self._root / controller / self._paths.get(controller, "/").lstrip("/")

    def processes(self) -> set[int]:
        """All processes in it and below."""
        found: set[int] = set()
        for directory, _, names in os.walk(self.directory("pids")):
            if "cgroup.procs" in names:
                found.update(int(word) for word in _text(Path(directory, "cgroup.procs")).split())
        return found


def read(pid: int, proc: Path = PROC, root: Path = CGROUPS) -> Usage:
    """What the container of that first process uses. Raises OSError when it is gone."""
    groups = Cgroups(pid, proc, root)
    return (_unified if groups.unified else _legacy)(groups, _networks(_text(proc / str(pid) / "net/dev")))


def host_cpu(stat: str, ticks: int) -> tuple[int, int]:
    """From /proc/stat: nanoseconds all processors have spent, and how many there are. `ticks` per second."""
    lines = stat.splitlines()
    spent = sum(int(word) for word in lines[0].split()[1:9]) if lines else 0
    count = sum(1 for line in lines if line.startswith("cpu") and line[3:4].isdigit())
    return spent * 1_000_000_000 // ticks, count


def _legacy(groups: Cgroups, networks: dict[str, Transfer]) -> Usage:
    cpu, memory, pids = groups.directory("cpuacct"), groups.directory("memory"), groups.directory("pids")
    user, system = (_number(cpu / f"cpuacct.usage_{name}") for name in ("user", "sys"))
    stat = _pairs(_text(groups.directory("cpu") / "cpu.stat"))
    return Usage(
        cpu=_number(cpu / "cpuacct.usage"),
        cpu_user=user,
        cpu_system=system,
        throttled=(stat.get("nr_periods", 0), stat.get("nr_throttled", 0), stat.get("throttled_time", 0)),
        memory=_number(memory / "memory.usage_in_bytes"),
        memory_limit=_number(memory / "memory.limit_in_bytes"),
        memory_stats=_pairs(_text(memory / "memory.stat")),
        blocks=_legacy_blocks(_text(groups.directory("blkio") / "blkio.throttle.io_service_bytes_recursive")),
        processes=_number(pids / "pids.current"),
        processes_limit=_number(pids / "pids.max"),
        networks=networks,
    )


def _unified(groups: Cgroups, networks: dict[str, Transfer]) -> Usage:
    directory = groups.directory("")
    stat = _pairs(_text(directory / "cpu.stat"))
    micro = {name: stat.get(name, 0) * 1000 for name in ("usage_usec", "user_usec", "system_usec", "throttled_usec")}
    return Usage(
        cpu=micro["usage_usec"],
        cpu_user=micro["user_usec"],
        cpu_system=micro["system_usec"],
        throttled=(stat.get("nr_periods", 0), stat.get("nr_throttled", 0), micro["throttled_usec"]),
        memory=_number(directory / "memory.current"),
        memory_limit=_number(directory / "memory.max"),
        memory_stats=_pairs(_text(directory / "memory.stat")),
        blocks=_unified_blocks(_text(directory / "io.stat")),
        processes=_number(directory / "pids.current"),
        processes_limit=_number(directory / "pids.max"),
        networks=networks,
    )


def _legacy_blocks(text: str) -> list[tuple[int, int, str, int]]:
    """Lines like "8:0 Read 4096"."""
    rows = [line.split() for line in text.splitlines()]
    return [
        (*_device(row[0]), row[1].lower(), int(row[2])) for row in rows if len(row) == 3 and row[1] in ("Read", "Write")
    ]


def _unified_blocks(text: str) -> list[tuple[int, int, str, int]]:
    """Lines like "8:0 rbytes=4096 wbytes=0 rios=1 …"."""
    found = []
    for line in text.splitlines():
        device, *words = line.split()
        counts = dict(word.split("=", 1) for word in words if "=" in word)
        for operation, name in (("read", "rbytes"), ("write", "wbytes")):
            found.append((*_device(device), operation, int(counts.get(name, 0))))
    return found


def _device(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(":")
    return int(major), int(minor)


def _networks(text: str) -> dict[str, Transfer]:
    """From /proc/<pid>/net/dev, without the loopback."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        row = [int(word) for word in rest.split()]
        if name.strip() != "lo":
            found[name.strip()] = Transfer(row[0], row[8], row[1], row[9], row[2], row[10], row[3], row[11])
    return found


def _pairs(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _number(path: Path) -> int:
    """0 for none, "max" and what is not there."""
    text = _text(path).strip()
    value = int(text) if text.isdigit() else 0
    return value if value < _NO_LIMIT else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
