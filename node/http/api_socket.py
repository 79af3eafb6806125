"""The HTTP API on the host's unix sockets: cluster paths, host paths and the node's own in one application."""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web

from api.errors import Unavailable
from api.http.app import make_app
from api.http.listening import LOCAL, LOCAL_IDLE_TIME, GuardedSite, runner_of, unix_listener

log = structlog.get_logger(__name__)

GROUPS = ("argosy", "docker")
"""Members of the first of these groups that exists may use the socket, as with dockerd."""


class ApiSocket:
    """Serves one HTTP application on several unix sockets."""

    def __init__(self, routes: Sequence[web.RouteDef], paths: Sequence[Path]) -> None:
        self._runner = runner_of(make_app(list(routes)), LOCAL_IDLE_TIME)
        self._paths = paths

    async def start(self) -> None:
        """Listen on all sockets. Raises Unavailable when one cannot be made."""
        await self._runner.setup()
        for path in self._paths:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                listener = unix_listener(str(path))
                restrict(path)
                await GuardedSite(self._runner, listener, LOCAL).start()
            except OSError as error:
                raise Unavailable(f"cannot listen on unix://{path}: {error.strerror or error}") from None
            log.info("HTTP API listens", socket=str(path))

    async def serve(self, listener: socket.socket) -> Callable[[], Awaitable[None]]:
        """Serve on one more socket; returns a function that stops it."""
        site = GuardedSite(self._runner, listener, LOCAL)
        await site.start()
        return site.stop

    async def stop(self) -> None:
        """Stop listening and remove the sockets."""
        await self._runner.cleanup()
        for path in self._paths:
            path.unlink(missing_ok=True)


def restrict(path: Path) -> None:
    """Allow only root and the group to use the socket: access to it means root on this host."""
    path.chmod(0o660)
    for name in GROUPS:
        try:
            os.chown(path, 0, grp.getgrnam(name).gr_gid)
        except (KeyError, PermissionError):
            continue
        return
