"""Host client: calls to the hosts' own gRPC service (`argosy.Host`), by node id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc

from api.errors import ArgosyError, Forbidden, Invalid, NotFound, Unavailable
from api.wire import rpc
from api.wire.host_messages import LOGS_METHOD, MANAGERS_METHOD, LogLine, LogLines, LogsRequest, ManagersNotice
from kit.ip import join_host_port
from manager.security.border import host_address
from manager.store.state import State

_ERRORS: dict[Any, type[ArgosyError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: Invalid,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.UNAUTHENTICATED: Forbidden,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
}


class Hosts(Protocol):
    """Calls from a manager to the cluster's hosts."""

    def logs(self, node_id: str, request: LogsRequest) -> AsyncIterator[list[LogLine]]:
        """A container's log, in batches of lines. Raises NotFound (no such container) or Unavailable (no answer)."""
        ...


class HostClient:
    """Calls over gRPC: one channel per node, opened at its first use and again when an address or certificate
    changes."""

    def __init__(self, state: State, credentials: Callable[[], rpc.Credentials]) -> None:
        self._state = state
        self._credentials = credentials
        self._channels: dict[str, tuple[tuple[str, rpc.Credentials], Any]] = {}

    async def logs(self, node_id: str, request: LogsRequest) -> AsyncIterator[list[LogLine]]:
        """A container's log, in batches of lines. Raises NotFound, Unavailable."""
        call = rpc.unary_stream(await self._channel(node_id), LOGS_METHOD, LogLines)(request)
        try:
            async for batch in call:
                yield batch.lines
        except grpc.aio.AioRpcError as error:
            raise host_error(node_id, error) from None
        finally:
            call.cancel()

    async def announce(self, node_id: str, notice: ManagersNotice, timeout: float = 2.0) -> None:
        """Send the managers' addresses to a host; `timeout` in seconds. Raises Unavailable or Forbidden."""
        try:
            async with asyncio.timeout(timeout):
                call = rpc.unary_stream(await self._channel(node_id), MANAGERS_METHOD, bytes)(notice)
                async for _ in call:
                    pass
        except TimeoutError:
            raise Unavailable(f"node {node_id} does not answer") from None
        except grpc.aio.AioRpcError as error:
            raise host_error(node_id, error) from None

    async def close(self) -> None:
        """Close all channels; streams on them break."""
        channels, self._channels = self._channels, {}
        await asyncio.gather(*(channel.close() for _way, channel in channels.values()))

    async def _channel(self, node_id: str) -> Any:
        node = self._state.descriptions.get(node_id)
        if node is None or not host_address(node.address):
            raise Unavailable(f"node {node_id} has not been heard of since it joined; its address is not known")
        way = (join_host_port(node.address, node.host_port), self._credentials())
        former = self._channels.get(node_id)
        if former is not None and former[0] == way:
            return former[1]
        self._channels[node_id] = (way, rpc.channel(*way, node_id))
        if former is not None:
            await former[1].close()
        return self._channels[node_id][1]


def host_error(node_id: str, error: Any) -> ArgosyError:
    """The exception, with a text for users, for a failed call to a host."""
    kind = _ERRORS.get(error.code(), ArgosyError)
    if kind is Unavailable:
        return Unavailable(f"node {node_id} does not answer: {error.details()}")
    return kind(error.details() or f"the call to node {node_id} failed: {error.code().name}")
