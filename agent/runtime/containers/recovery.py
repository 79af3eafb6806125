"""Containers that exist without a record: found by what really runs, so that a damaged record never leaves one behind.

What exists is learned from the runtime's state directory, from conmon's processes and from the kernel's cgroups. A
container that nobody can tell anything about any more is ended and removed: its task fails here and is replaced.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

from kit import process

_ID = re.compile(r"[0-9a-f]{64}")
_END = 10.0
"""Seconds for its processes to be gone after SIGKILL; the kernel may hold some longer (a hung disk)."""
_LOOK = 0.05


def strays(containers: Path, state: Path, known: Collection[str]) -> list[str]:
    """Ids of containers of ours that have no record. `state` is where the OCI runtime keeps its own."""
    found = {path.name for path in containers.iterdir()}
    found |= {path.name for path in state.iterdir()} if state.is_dir() else set()
    found |= {id for id, _pid in monitors(containers)}
    return sorted(id for id in found if _ID.fullmatch(id) and id not in known)


def monitors(containers: Path) -> Iterator[tuple[str, int]]:
    """Id and pid of every conmon that watches over a container below that directory."""
    for pid in _pids():
        words = _read(pid, "cmdline").split(b"\0")
        if os.path.basename(words[0]) != b"conmon" or b"-b" not in words:
            continue
        bundle = Path(os.fsdecode(words[words.index(b"-b") + 1]))
        if bundle.parent == containers:
            yield bundle.name, pid


def processes(id: str) -> list[int]:
    """Those in the container's cgroups, its own and what was executed in it."""
    return [pid for pid in _pids() if id.encode() in _read(pid, "cgroup")]


async def end(id: str, containers: Path) -> None:
    """Kill all of a container that has no record, and its monitor; returns when they are gone, or time is up."""
    waited = 0.0
    while waited < _END:
        left = [*processes(id), *(pid for name, pid in monitors(containers) if name == id)]
        if not left:
            return
        for pid in left:
            process.send_signal(pid, signal.SIGKILL)
        await asyncio.sleep(_LOOK)
        waited += _LOOK


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has ended
