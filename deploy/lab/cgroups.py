"""The cgroups of lab hosts: one per host in every hierarchy of the machine (v1, hybrid or v2)."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_RESOURCES = ("cpuset.cpus", "cpuset.mems")


def hierarchies() -> list[Path]:
    """Mount points of the machine's cgroup hierarchies."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and Path(mount).is_relative_to(ROOT):
            found.append(Path(mount))
    return found


def is_unified() -> bool:
    """Whether the machine has cgroup v2 only."""
    return hierarchies() == [ROOT]


def enter(name: str) -> None:
    """Create the cgroup `name` in every hierarchy and move the calling process into it."""
    for root in hierarchies():
        group = root
        for part in Path(name).parts:
            group = group / part
            group.mkdir(exist_ok=True)
            _inherit_cpuset(group)
        if root == ROOT:
            _delegate(root, group)
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(name: str) -> None:
    """Kill the remaining processes of the cgroup `name`, and remove it with all its children."""
    _kill_all(name)
    for root in hierarchies():
        top = root / name
        if not top.exists():
            continue
        for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            _remove_one(group)
        _remove_one(top)


def exists(name: str) -> bool:
    """Whether any hierarchy has the cgroup."""
    return any((root / name).exists() for root in hierarchies())


def _kill_all(name: str) -> None:
    # Every process in a lab's cgroup was started by the lab, also by a host that failed before it was registered.
    for root in hierarchies():
        for procs in (root / name).rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def _remove_one(group: Path) -> None:
    for _ in range(100):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return


def _inherit_cpuset(group: Path) -> None:
    # A new v1 cpuset is empty, and no process can enter it before it has CPUs and memory nodes.
    for resource in _RESOURCES:
        own = group / resource
        if own.exists() and not own.read_text().strip() and (above := (group.parent / resource)).exists():
            own.write_text(above.read_text())


def _delegate(root: Path, group: Path) -> None:
    # Under v2 a child has only the controllers that its parents delegate.
    above = [root, *[root / part for part in list(group.relative_to(root).parents)[::-1] if str(part) != "."]]
    for parent in above:
        controllers = (parent / "cgroup.controllers").read_text().split()
        (parent / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))
