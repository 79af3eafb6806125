"""File mounts: a container's secrets and configs in a tmpfs on the host, with a read-only bind mount for each file.

The tmpfs is mounted in the container's directory by the agent. The container's bind mounts survive a restart of the
agent; the data leaves memory when both the agent's mount and the container's are gone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.runtime.interface import PlannedFile
from agent.runtime.volumes.mount_syscalls import mount_tmpfs, unmount

DIRECTORY = "files"


def make_files(files: Sequence[PlannedFile], container: Path) -> list[dict[str, Any]]:
    """Write a container's files below its directory. Returns the OCI's mounts. Blocking. Raises RuntimeFailure."""
    if not files:
        return []
    directory = container / DIRECTORY
    unmount(directory)
    directory.mkdir(mode=0o700, exist_ok=True)
    mount_tmpfs(directory, sum(_pages(file) for file in files) + os.sysconf("SC_PAGE_SIZE"))
    return [_mount(file, _write(file, directory / str(number))) for number, file in enumerate(files)]


def remove_files(container: Path) -> None:
    """Unmount the agent's tmpfs, if there is one. Blocking."""
    unmount(container / DIRECTORY)


def _pages(file: PlannedFile) -> int:
    page = os.sysconf("SC_PAGE_SIZE")
    return -(-len(file.data) // page) * page


def _write(file: PlannedFile, path: Path) -> str:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(file.data)
        os.fchown(out.fileno(), file.uid, file.gid)
        os.fchmod(out.fileno(), file.mode)
    return str(path)


def _mount(file: PlannedFile, source: str) -> dict[str, Any]:
    return {"destination": file.target, "type": "bind", "source": source, "options": ["bind", "rprivate", "ro"]}
