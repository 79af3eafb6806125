"""Image grants: a node may fetch an image from this host if a task of its needs it. A manager is asked each time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import grpc

from api.errors import Forbidden, Unavailable
from api.wire import rpc
from api.wire.host_messages import MAY_EXPORT_METHOD, ExportCheck, ExportVerdict

TIME_LIMIT = 8.0
"""Seconds for one manager's answer. It may itself wait a few seconds for the task to appear in its state."""

MOST_AT_ONCE = 8
"""Checks in progress for one node; a host fetches four images at once."""


class Grants(Protocol):
    """Decides which node may fetch which image."""

    async def check(self, node_id: str, reference: str) -> None:
        """Raises Forbidden when the node may not have the image, Unavailable when no manager can tell."""
        ...


class ManagerGrants:
    """Asks managers at "address:port" one by one until one answers."""

    def __init__(self, credentials: Callable[[], rpc.Credentials], managers: Callable[[], Sequence[str]]) -> None:
        self._credentials = credentials
        self._managers = managers
        self._asking: Counter[str] = Counter()

    async def check(self, node_id: str, reference: str) -> None:
        """See Grants."""
        if self._asking[node_id] >= MOST_AT_ONCE:
            raise Unavailable(f"node {node_id} asks for more than {MOST_AT_ONCE} images at once; try again")
        self._asking[node_id] += 1
        try:
            await self._ask(node_id, reference)
        finally:
            self._asking[node_id] -= 1
            if not self._asking[node_id]:
                del self._asking[node_id]

    async def _ask(self, node_id: str, reference: str) -> None:
        why = "no manager is known"
        for address in self._managers():
            channel = rpc.channel(address, self._credentials())
            call = rpc.unary_stream(channel, MAY_EXPORT_METHOD, ExportVerdict)(ExportCheck(node_id, reference))
            try:
                async with asyncio.timeout(TIME_LIMIT):
                    verdict = await call.read()
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                why = error.details() or "" if isinstance(error, grpc.aio.AioRpcError) else "no answer in time"
                continue
            finally:
                await channel.close()
            if isinstance(verdict, ExportVerdict) and verdict.allowed:
                return
            raise Forbidden(verdict.why if isinstance(verdict, ExportVerdict) else "a manager said nothing")
        raise Unavailable(f"no manager can say whether you may have this image: {why}")
