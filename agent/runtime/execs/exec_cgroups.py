"""A control group of its own, below its container's, for each command that has limited time (health checks, hooks).

Whatever the command forks is in it, also what has left its session and ignores signals, so that all of it can be
killed. No process can leave it: control groups are read-only in a container, unless it is privileged. What a command
that ended in time has left running is handed over to the container, as with Docker.

A group is used again for the container's next command. The kernel keeps a memory group that was removed for as long as
a page of a file is charged to it: a new one for each health check would come to thousands.

On cgroup v2 it is one directory. On v1 runc moves a process into a group of the one hierarchy it is told, the freezer;
crun leaves alone every hierarchy where the group is not, so there it is made in all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.runtime.host_features import CGROUPS, CgroupMode
from kit import process

_PREFIX = "argosy-"
_PATIENCE = 10.0
"""Seconds until what was killed must be gone; the kernel may still be writing for it."""
_LOOK = 0.01
_HANDOVERS = 20
_FREEZERS = (("freezer.state", "FROZEN", "THAWED"), ("cgroup.freeze", "1", "0"))
"""Of v1, and of v2 before cgroup.kill (Linux 5.14)."""


def hierarchies(mode: CgroupMode, own: str) -> list[str]:
    """The directories of the hierarchies that hold containers; `own` is a /proc/self/cgroup."""
    if mode is CgroupMode.V2:
        return [""]
    names = [line.split(":", 2)[1] for line in own.splitlines() if line]
    return [name.removeprefix("name=") for name in names if name]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One command's group: its directories, of which the first is the one where processes are found and killed."""

    directories: Sequence[Path]
    argument: str
    """What the OCI runtime's `exec --cgroup` is given."""

    def make(self) -> None:
        """Raises OSError when the container is gone."""
        for directory in self.directories:
            directory.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (file := directory / name).exists() and not (directory / "cgroup.controllers").exists():
                    file.write_text((directory.parent / name).read_text())  # v1 takes no process into an empty one

    async def kill(self) -> None:
        """End all in it, however it forks meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self.processes():
                    await asyncio.to_thread(self._kill_once)
                    await asyncio.sleep(_LOOK)

    async def release(self) -> None:
        """Hand what still runs over to the container."""
        for _ in range(_HANDOVERS):
            if not (left := self.processes()):
                break
            for directory, pid in itertools.product(self.directories, left):
                _write(directory.parent / "cgroup.procs", str(pid))
            await asyncio.sleep(0)

    def processes(self) -> list[int]:
        """All that is in it and below."""
        found = []
        for directory, _, _ in os.walk(self.directories[0]):
            with suppress(OSError):
                found += [int(word) for word in Path(directory, "cgroup.procs").read_text().split()]
        return found

    def remove(self) -> None:
        """Take its directories away, if nothing is in them."""
        for top in self.directories:
            for directory, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(directory)

    def _kill_once(self) -> None:
        top = self.directories[0]
        if _write(top / "cgroup.kill", "1"):
            return
        # Frozen, nothing forks between the look and the kill; the signal takes effect at thawing.
        for name, freeze, _ in _FREEZERS:
            _write(top / name, freeze)
        for pid in self.processes():
            process.send_signal(pid, signal.SIGKILL)
        for name, _, thaw in _FREEZERS:
            _write(top / name, thaw)


class Subgroups:
    """Those of one runtime on this host."""

    def __init__(self, mode: CgroupMode, is_crun: bool, root: Path = Path(CGROUPS), own: str = "") -> None:
        """`own` is the text of a /proc/self/cgroup; "" for this process'."""
        found = hierarchies(mode, own or Path("/proc/self/cgroup").read_text())
        ordered = sorted(found, key=lambda name: "freezer" not in name.split(","))  # killing is surest there
        one_of_many = mode is not CgroupMode.V2 and not is_crun
        self._controller = f"{_controller(ordered[0])}:" if one_of_many else ""
        self._names = ordered[:1] if one_of_many else ordered
        self._root = root
        self._token = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._free: dict[str, list[Subgroup]] = {}

    @contextmanager
    def one(self, cgroup: str) -> Iterator[Subgroup]:
        """For a command in the container with that control group (its path from the root). Perhaps not made yet."""
        free = self._free.setdefault(cgroup, [])
        group = free.pop() if free else self._at(cgroup, f"{_PREFIX}{self._token}-{next(self._numbers)}")
        try:
            yield group
        finally:
            if not group.processes() and cgroup in self._free:
                free.append(group)

    def forget(self, cgroup: str) -> None:
        """The container goes; so do its commands' groups."""
        for group in self._free.pop(cgroup, []):
            group.remove()

    def left(self, cgroup: str) -> Iterable[Subgroup]:
        """Those that a former daemon made and could not bring to an end."""
        names = {
            path.name
            for top in self._names
            for path in (self._root / top / cgroup.lstrip("/")).glob(f"{_PREFIX}*")
            if not path.name.startswith(f"{_PREFIX}{self._token}-")
        }
        return [self._at(cgroup, name) for name in sorted(names)]

    def _at(self, cgroup: str, name: str) -> Subgroup:
        tops = [self._root / top / cgroup.lstrip("/") for top in self._names]
        return Subgroup([top / name for top in tops if top.is_dir()] or [tops[0] / name], f"{self._controller}{name}")


def _controller(hierarchy: str) -> str:
    """By which runc knows it."""
    names = hierarchy.split(",")
    return "freezer" if "freezer" in names else names[0]


def _write(path: Path, text: str) -> bool:
    """Whether the kernel took it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
