"""The daemon's own sockets in containers that bind them: they follow when the daemon begins anew.

A bind mount of a socket is of that very file, which is another one after a restart of argosyd: proxies and dashboards
would talk to nobody. So whoever has an old one gets the new one mounted in its place. This is done by a process of its
own (run as a program), which enters the container's mount namespace; where the target leads there is looked up in it.

    python -m agent.runtime.containers.socket_binds PID SOURCE TARGET [ro]
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from agent.runtime.volumes import rootfs_paths
from kit import process

if TYPE_CHECKING:
    from agent.runtime.containers.container_record import Record
    from agent.runtime.interface import Container
    from api.service.container import Mount

log = structlog.get_logger(__name__)

LOOK = 2.0
"""Seconds between looks."""
_PATIENCE = 30.0
# The same numbers on every machine.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_CLONE_TREE, _FROM_DESCRIPTOR, _FOLLOW_TARGET = 1, 0x4, 0x10
_READ_ONLY, _PRIVATE = 1, 1 << 18
_NEW_MOUNTS, _DETACH = 0x20000, 2
_libc = ctypes.CDLL(None, use_errno=True)


class Containers(Protocol):
    """What is needed of the runtime."""

    async def containers(self) -> Sequence[Container]:
        """All containers of this host."""
        ...

    def inspect(self, id: str) -> Record:
        """What is kept of a container. Raises NotFound."""
        ...


class SocketBinds:
    """Keeps the mounts of these sockets in the runtime's containers current."""

    def __init__(self, runtime: Containers, sockets: Sequence[Path]) -> None:
        self._runtime = runtime
        self._sockets = sockets
        self._failed: set[tuple[int, str, int]] = set()
        """Process, target and the socket's inode where it did not work."""

    async def run(self) -> NoReturn:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Mount each socket anew where an old one is."""
        # By either of its names; the sources of others' mounts are not looked up, for they may lie on a dead server.
        served = {name for path in self._sockets if path.is_socket() for name in (str(path), os.path.realpath(path))}
        for container in await self._runtime.containers():
            if not container.pid or not container.started:
                continue
            for mount in self._runtime.inspect(container.id).mounts:
                if mount.type != "bind" or mount.source not in served:
                    continue
                if await asyncio.to_thread(_is_old, container.pid, mount.source, mount.target):
                    await self._renew(container, mount)

    async def _renew(self, container: Container, mount: Mount) -> None:
        key = (container.pid, mount.target, os.stat(mount.source).st_ino)
        if key in self._failed:
            return
        program = (sys.executable, "-m", "agent.runtime.containers.socket_binds")
        options = ["ro"] if mount.read_only else []
        done = await process.run(*program, str(container.pid), mount.source, mount.target, *options, timeout=_PATIENCE)
        if not done.ok:
            self._failed.add(key)
            log.warning("a container keeps an old socket", container=container.name, reason=done.complaint)


def _is_old(pid: int, source: str, target: str) -> bool:
    """Whether something else than the source is mounted at a container's target."""
    try:
        now = os.stat(source)
        with rootfs_paths.opened(Path(f"/proc/{pid}/root"), target) as found:
            return not os.path.samestat(os.fstat(found), now)
    except OSError:
        return False  # one of the two is just going


def main(arguments: list[str]) -> int:
    """The exit code; a complaint is on stderr."""
    pid, source, target, *options = arguments
    try:
        _mount_in(int(pid), source, target, read_only="ro" in options)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _mount_in(pid: int, source: str, target: str, *, read_only: bool) -> None:
    tree = _checked(_libc.syscall(_OPEN_TREE, _AT_FDCWD, source.encode(), _CLONE_TREE | os.O_CLOEXEC), source)
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY if read_only else 0, 0, _PRIVATE, 0)
    _checked(_libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, ctypes.sizeof(attributes)), source)
    sys.path.clear()  # from here on nothing is imported: it would be the container's
    sys.meta_path.clear()
    with open(f"/proc/{pid}/ns/mnt", "rb") as spaces:
        _checked(_libc.setns(spaces.fileno(), _NEW_MOUNTS), "the container's mount namespace")
    for _ in _old_mounts(target):
        _checked(_libc.umount2(os.fsencode(target), _DETACH), target)
    flags = _FROM_DESCRIPTOR | _FOLLOW_TARGET
    _checked(_libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), flags), target)


def _old_mounts(target: str) -> Iterator[None]:
    """One for each mount to take away: what is bound there is a socket, what is below is a plain file."""
    for _ in range(8):
        if not Path(target).is_socket():
            return
        yield


def _checked(code: int, what: str) -> int:
    if code < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
