"""The Connector over gRPC: one bidirectional stream per connection, on a channel of its own."""

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
"""Seconds a closing channel may take."""

CONNECT_TIMEOUT = 2.0
"""Seconds for a connection: short, so that the lease of a session that was lost can still be kept elsewhere."""
_ANSWERED = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)

# Sent bytes that stay unanswered for as long as the keepalive timeout end the connection (TCP_USER_TIMEOUT): within a
# heartbeat and that time a manager without power is noticed, so that the host hears from another one in time which
# endpoints that manager's host takes with it. A kernel answers, however busy its host is.
OPTIONS = {"grpc.keepalive_time_ms": 5_000, "grpc.keepalive_timeout_ms": round(1000 * MANAGER_TIMEOUT)}


_KINDS = {
    grpc.StatusCode.PERMISSION_DENIED: NodeRefused,
    grpc.StatusCode.INVALID_ARGUMENT: HelloRefused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HelloRefused,
}


class GrpcConnector:
    """Connects with the node's certificate as it is at that moment (`credentials` is asked each time)."""

    def __init__(self, credentials: Callable[[], Credentials]) -> None:
        self._credentials = credentials

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[GrpcConnection]:
        """Talk to the manager at "address:host_port"; it must have that node's certificate, or any manager's."""
        channel = rpc.channel(address, self._credentials(), node_id or MANAGER_NAME, options=OPTIONS)
        call = rpc.stream_stream(channel, SESSION_METHOD, bytes)()
        try:
            await _reached(channel, address)
            yield GrpcConnection(call, address)
        finally:
            call.cancel()
            await channel.close(CLOSE_GRACE)


async def _reached(channel: Any, address: str) -> None:
    """Until the other side answered in some way; a refusal is told by the call itself. Raises SessionLost."""
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
        """Write one message; gRPC takes one at a time."""
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
