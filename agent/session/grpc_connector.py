"""The connector over gRPC: each connection is one bidirectional stream on a channel of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from agent.session.assignment_reader import ManagerReader
from agent.session.interface import HelloRefused, NodeRefused, SessionLost
from api.defaults import MANAGER_TIMEOUT
from api.errors import Invalid
from api.wire import rpc
from api.wire.rpc import Credentials
from api.wire.session_messages import MANAGER_NAME, SESSION_METHOD, AgentMessage, ManagerMessage

CLOSE_GRACE = 0.2
"""Seconds that closing a channel may take."""

CONNECT_TIMEOUT = 2.0
"""Seconds for connecting. Short, so that another manager can be reached before the lost session's lease expires."""
_ANSWERED = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)

# Bytes that stay unacknowledged for the keepalive timeout end the connection (TCP_USER_TIMEOUT). So the loss of a
# manager's power is noticed within a heartbeat and that timeout, in time to learn from another manager which endpoints
# were lost with that host. A kernel acknowledges bytes however busy its host is.
OPTIONS = {"grpc.keepalive_time_ms": 5_000, "grpc.keepalive_timeout_ms": round(1000 * MANAGER_TIMEOUT)}


_KINDS = {
    grpc.StatusCode.PERMISSION_DENIED: NodeRefused,
    grpc.StatusCode.INVALID_ARGUMENT: HelloRefused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HelloRefused,
}


class GrpcConnector:
    """Connects with the node's current certificate (`credentials` is called for each connection)."""

    def __init__(self, credentials: Callable[[], Credentials]) -> None:
        self._credentials = credentials

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[GrpcConnection]:
        """Connect to the manager at "address:host_port". It must show that node's certificate, or any manager's."""
        channel = rpc.channel(address, self._credentials(), node_id or MANAGER_NAME, options=OPTIONS)
        call = rpc.stream_stream(channel, SESSION_METHOD, bytes)()
        try:
            await _reached(channel, address)
            yield GrpcConnection(call, address)
        finally:
            call.cancel()
            await channel.close(CLOSE_GRACE)


async def _reached(channel: Any, address: str) -> None:
    """Wait until the other side has answered in some way; a refusal is raised by the call. Raises SessionLost."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while (state := channel.get_state(try_to_connect=True)) not in _ANSWERED:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        raise SessionLost(f"the manager at {address} cannot be reached within {CONNECT_TIMEOUT:g} s") from None


class GrpcConnection:
    """One call of Dispatcher.Session."""

    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address
        self._one_writer = asyncio.Lock()
        self._reading = ManagerReader()

    async def send(self, message: AgentMessage) -> None:
        """Write one message. gRPC allows one write at a time."""
        async with self._one_writer:
            try:
                await self._call.write(message)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                raise self._lost(error) from None

    async def receive(self) -> ManagerMessage:
        """Read one message."""
        try:
            message = await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise self._lost(error) from None
        if message is grpc.aio.EOF:
            raise SessionLost(f"the manager at {self._address} ended the session")
        try:
            answer: ManagerMessage = self._reading.read(message)
            return answer
        except Invalid as error:
            raise SessionLost(f"the manager at {self._address} sent something else than a message: {error}") from None

    def _lost(self, error: Exception) -> SessionLost:
        why, kind = str(error), SessionLost
        if isinstance(error, grpc.aio.AioRpcError):
            why = error.details() or error.code().name
            kind = _KINDS.get(error.code(), SessionLost)
        return kind(f"no session with the manager at {self._address}: {why}")
