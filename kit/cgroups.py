"""Memory cgroups for our own processes outside containers: those that outlive us, and those whose memory is limited.

Only memory: one hierarchy of several under cgroup v1, a leaf of the single hierarchy under v2.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def add_process(pid: int, name: str, limit: int = 0, root: Path = ROOT) -> None:
    """Move a process into group `name` ("argosy/etcd"), creating it if needed. `limit`: bytes of memory; 0 is none.

    Raises OSError when the machine has no such groups or we may not create them.
    """
    v2 = (root / "cgroup.controllers").exists()
    group = root if v2 else root / "memory"
    for part in Path(name).parts:
        if v2:
            (group / "cgroup.subtree_control").write_text("+memory")
        group = group / part
        group.mkdir(exist_ok=True)
    bound = group / ("memory.max" if v2 else "memory.limit_in_bytes")
    bound.write_text(str(limit) if limit else "max" if v2 else "-1")
    (group / "cgroup.procs").write_text(str(pid))


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the group if it has no processes; otherwise do nothing."""
    for top in (root, root / "memory"):
        with suppress(OSError):
            (top / name).rmdir()


def read_size(text: str) -> int:
    """Bytes of "512m", "2g", "2GiB", "1073741824". Raises ValueError."""
    if not (match := _SIZE.fullmatch(text.strip())):
        raise ValueError(f"{text!r} is no size; write bytes, or 512m, 2g")
    return int(match[1]) * _UNITS[match[2].lower()]


def machine_memory() -> int:
    """Bytes of memory the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
