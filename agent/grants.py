"""Who may be given an image of this host: a node with a task that needs it. Managers know, and are asked each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import grpc

from api import rpc
from api.errors import Forbidden, Unavailable
from api.wire import MAY_EXPORT_METHOD, ExportCheck, ExportVerdict

TIME_LIMIT = 8.0
"""Seconds for one manager's answer: it waits a few itself for what it may not have heard yet."""


class Grants(Protocol):
    """Says who may have what."""

    async def check(self, node_id: str, reference: str) -> None:
        """Raises Forbidden when that node may not have that image, Unavailable when nobody can say so."""
        ...


class ManagerGrants:
    """Asks managers at "address:port", one after the other until one answers."""

    def __init__(self, credentials: Callable[[], rpc.Credentials], managers: Callable[[], Sequence[str]]) -> None:
        self._credentials = credentials
        self._managers = managers

    async def check(self, node_id: str, reference: str) -> None:
        """See Grants."""
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
