"""The host's gRPC port (7946): the agent's `Host` service, and on managers the dispatcher's sessions. mTLS is required.

The dispatcher's method is always registered: on a host that is no manager it answers UNAVAILABLE, and an agent that
has this host in its list of managers tries the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from api.errors import Unavailable
from api.wire import rpc
from api.wire.host_messages import ExportCheck, ExportVerdict
from api.wire.session_messages import DISPATCHER
from kit.ip import join_host_port
from manager.dispatch.dispatcher import Dispatcher
from node.membership.connection_limits import ConnectionLimits

GRACE = 1.0
"""Seconds for streams under way when the server stops."""
HANDSHAKE_TIME = 5.0
"""Seconds for a TLS handshake; a connection without a certificate by then is closed."""
SERVER_OPTIONS = [
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_TIME * 1000)),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 5),  # our own callers ping every 5 s at most
    ("grpc.max_concurrent_streams", 1024),  # of one connection: a manager follows many logs over one
    ("grpc.max_connection_idle_ms", 60_000),  # without a call
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
]


class HostServer:
    """A gRPC server with one certificate; a renewed one needs a new server."""

    def __init__(
        self, credentials: rpc.Credentials, dispatcher: Callable[[], Dispatcher | None], handlers: Sequence[Any]
    ) -> None:
        self._credentials = credentials
        self._dispatcher = dispatcher
        self._handlers = [*handlers, self._sessions()]
        self._server: Any = None
        self._limits: ConnectionLimits | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises Unavailable when the port is taken."""
        server = grpc.aio.server(options=[*rpc.OPTIONS, *SERVER_OPTIONS])
        server.add_generic_rpc_handlers(self._handlers)
        address = join_host_port(host, port)
        try:
            server.add_secure_port(address, rpc.server_credentials(self._credentials))
        except RuntimeError:
            raise Unavailable(
                f"cannot listen on {address}: another process holds the port, or the address is not here"
            ) from None
        self._limits = ConnectionLimits(port)
        await self._limits.start()
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Stop listening; streams under way get a moment to end."""
        if self._server is not None:
            await self._server.stop(GRACE)
            self._server = None
        if self._limits is not None:
            await self._limits.stop()
            self._limits = None

    def _sessions(self) -> Any:
        async def session(requests: Any, context: Any) -> None:
            dispatcher = self._dispatcher()
            if dispatcher is None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this node is not a manager")
            else:
                await dispatcher.session(requests, context)

        async def may_export(request: ExportCheck, context: Any) -> AsyncIterator[ExportVerdict]:
            dispatcher = self._dispatcher()
            if dispatcher is None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this node is not a manager")
            else:
                yield await dispatcher.may_export(request, context)

        return rpc.service(
            DISPATCHER,
            {
                "Session": rpc.stream_stream_handler(session, bytes),
                "MayExport": rpc.unary_stream_handler(may_export, ExportCheck, ExportVerdict),
            },
        )
