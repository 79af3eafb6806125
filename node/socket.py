"""The HTTP API on the host's unix sockets: cluster paths, host paths and the node's own in one application."""

from __future__ import annotations

import grp
import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from aiohttp import web

from api.errors import Unavailable
from api.http import make_app

log = structlog.get_logger(__name__)

GROUPS = ("argosy", "docker")
"""Members of the first of these that exists may use the socket, as with dockerd."""
CLOSE_TIMEOUT = 1.0
"""Seconds that requests under way get when the daemon stops."""


class ApiSocket:
    """Serves one application on some sockets."""

    def __init__(self, routes: Sequence[web.RouteDef], paths: Sequence[Path]) -> None:
        self._runner = web.AppRunner(make_app(list(routes)), access_log=None, handle_signals=False)
        self._paths = paths

    async def start(self) -> None:
        """Listen. Raises Unavailable when a socket cannot be made."""
        await self._runner.setup()
        for path in self._paths:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                await web.UnixSite(self._runner, str(path), shutdown_timeout=CLOSE_TIMEOUT).start()
                _restrict(path)
            except OSError as error:
                raise Unavailable(f"cannot listen on unix://{path}: {error.strerror or error}") from None
            log.info("HTTP API listens", socket=str(path))

    async def stop(self) -> None:
        """Stop listening and take the sockets away."""
        await self._runner.cleanup()
        for path in self._paths:
            path.unlink(missing_ok=True)


def _restrict(path: Path) -> None:
    """root, and the group if there is one: whoever writes to this socket is root."""
    path.chmod(0o660)
    for name in GROUPS:
        try:
            os.chown(path, 0, grp.getgrnam(name).gr_gid)
        except (KeyError, PermissionError):
            continue
        return
