"""The API at Docker's own path (/var/run/docker.sock), on hosts without a running Docker.

Proxies, dashboards and monitors bind that path into their containers. It is taken only while no other daemon listens
there: a socket is made beside it and hard-linked to the name, which fails when the name exists. A dead daemon's file is
replaced; a running daemon's is left alone and checked again later.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import structlog

log = structlog.get_logger(__name__)

CHECK_INTERVAL = 5.0
"""Seconds between two checks of the path."""
_BACKLOG = 128


class DockerSocket:
    """Serves at `path` while it is free.

    `serve` takes a listening socket and returns a function that stops serving it; `restrict` sets a path's owner and
    mode.
    """

    def __init__(
        self,
        path: Path,
        serve: Callable[[socket.socket], Awaitable[Callable[[], Awaitable[None]]]],
        restrict: Callable[[Path], None],
    ) -> None:
        self._path = path
        self._serve = serve
        self._restrict = restrict
        self._inode = 0
        self._stop: Callable[[], Awaitable[None]] | None = None
        self._told = ""

    async def run(self) -> NoReturn:
        """Serve at the path whenever it is free; never returns."""
        try:
            while True:
                await self.check()
                await asyncio.sleep(CHECK_INTERVAL)
        finally:
            if self._is_ours():
                self._path.unlink(missing_ok=True)

    async def check(self) -> None:
        """Take the path if it is free."""
        if self._is_ours():
            return
        if self._stop is not None:  # something else has removed or replaced the path
            await self._stop()
            self._stop = None
        reason = self._obstacle()
        if not reason:
            try:
                await self._take()
            except OSError as error:
                reason = error.strerror or str(error)
        self._tell(reason)

    def _obstacle(self) -> str:
        """Why the path cannot be taken; "" when it can. Removes a dead daemon's socket."""
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return ""
        if not stat.S_ISSOCK(found.st_mode):
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no socket"
            return f"what is there is {kind}; remove it"
        if _is_served(self._path):
            return "another daemon listens there"
        if self._path.lstat().st_ino == found.st_ino:
            self._path.unlink(missing_ok=True)
        return ""

    async def _take(self) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.bind(str(draft))
            self._restrict(draft)  # before clients can see it
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            inode = draft.lstat().st_ino
            self._stop = await self._serve(listener)
            os.link(draft, self._path)
            self._inode = inode
        except BaseException:
            if self._stop is not None:
                await self._stop()
                self._stop = None
            listener.close()
            raise
        finally:
            draft.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        try:
            return bool(self._inode) and self._path.lstat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _tell(self, reason: str) -> None:
        if reason and reason != self._told:
            log.warning("Docker's socket is not served", socket=str(self._path), reason=reason)
        elif not reason:
            log.info("HTTP API listens", socket=str(self._path))
        self._told = reason


def _is_served(path: Path) -> bool:
    """Whether a daemon takes connections there; a full queue is one's too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True
