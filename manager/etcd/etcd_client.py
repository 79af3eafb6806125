"""etcd client: one channel per endpoint, deadlines, failover, and etcd's errors translated to ours.

All calls to etcd go through it. It uses aetcd's generated stubs on grpc.aio, because aetcd's own client does not
reconnect and hides revisions.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from typing import Any

import grpc
from aetcd import rpc

from api.errors import ArgosyError, Conflict, TooLarge, Unavailable
from api.wire.rpc import CONNECTION, Credentials
from api.wire.session_messages import MANAGER_NAME

CALL_TIMEOUT = 2.5
"""Seconds until a call without an answer fails. Calls under way when etcd's leader dies take all of it."""
DOUBT = 3.0
"""Seconds for which an endpoint that failed is used only if all others have failed too."""
LEADERLESS = 0.3
"""The same for an endpoint that has no leader."""
UNHEALTHY = "unhealthy cluster"
"""The answer of every endpoint to a change of members too soon after the last one."""
_NEEDS_LEADER = (("hasleader", "true"),)
"""Makes a member without a leader answer with an error instead of not answering."""
_OPTIONS = [
    *(option for option in CONNECTION if option[0] != "grpc.keepalive_permit_without_calls"),
    ("grpc.max_receive_message_length", -1),  # a page of keys may be large; etcd has its own limit
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 0),  # etcd disconnects clients that ping without a call
    ("grpc.use_local_subchannel_pool", 1),  # a new connection must not inherit the back-off of an old one
]
_STUBS = {
    "kv": rpc.KVStub,
    "watch": rpc.WatchStub,
    "lease": rpc.LeaseStub,
    "cluster": rpc.ClusterStub,
    "maintenance": rpc.MaintenanceStub,
}
_TEMPORARY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_UNTOUCHED = ("failed to connect", "not supported for learner", "no leader", UNHEALTHY)
_TOO_LARGE = ("request is too large", "message larger than max", "too many operations")


class NotProcessed(Unavailable):
    """The endpoint has certainly not processed the request."""


class NoSpace(Unavailable):
    """etcd's quota is used up: it refuses writes until there is room again."""


class EtcdError(ArgosyError):
    """An error of etcd that is not temporary."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"etcd refused a request: {details}")
        self.code = code
        self.details = details


class EtcdConnection:
    """A connection to etcd at several endpoints ("host:port"). Calls go to the first that has not failed recently.

    Without credentials the channels are not encrypted: for etcd on the loopback, or protected in another way.
    """

    def __init__(
        self, endpoints: Sequence[str], credentials: Credentials | None, server_name: str | None = MANAGER_NAME
    ) -> None:
        if not endpoints:
            raise ValueError("etcd needs at least one endpoint")
        self.endpoints = list(endpoints)
        self._server_name = server_name
        self._doubts = [0.0] * len(self.endpoints)
        """By endpoint: until when it is avoided, by the event loop's clock."""
        self._streams: set[EtcdStream] = set()
        self._open(credentials)

    def _open(self, credentials: Credentials | None) -> None:
        self._channels = [_channel(endpoint, credentials, self._server_name) for endpoint in self.endpoints]
        self._stubs = [{name: stub(channel) for name, stub in _STUBS.items()} for channel in self._channels]

    async def renew(self, credentials: Credentials | None) -> None:
        """Reconnect with a new certificate. Calls under way are cancelled; the callers have to repeat them."""
        old = self._channels
        self._open(credentials)
        for channel in old:
            await channel.close(CALL_TIMEOUT)

    async def follow(self, endpoints: Sequence[str], credentials: Credentials | None) -> None:
        """Use these endpoints. If they differ from the old ones, calls under way are cancelled."""
        if list(endpoints) != self.endpoints:
            self.endpoints, self._doubts = list(endpoints), [0.0] * len(endpoints)
            await self.renew(credentials)

    async def close(self) -> None:
        """Close all channels; calls under way are cancelled."""
        for channel in self._channels:
            await channel.close(None)

    async def call(self, service: str, method: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """A call that must not be repeated: tried at the next endpoint only if this one has certainly not processed it.

        Raises Unavailable (the request may still have been processed), TooLarge or EtcdError.
        """
        return await self._try(service, method, request, timeout, NotProcessed)

    async def ask(self, service: str, method: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """A call that may safely be repeated: every endpoint is tried before it fails."""
        return await self._try(service, method, request, timeout, Unavailable)

    async def _try(self, service: str, method: str, request: Any, timeout: float, passing: type[Unavailable]) -> Any:
        for _ in self.endpoints[1:]:
            try:
                return await self._once(service, method, request, timeout)
            except passing:
                continue
        return await self._once(service, method, request, timeout)

    async def _once(self, service: str, method: str, request: Any, timeout: float) -> Any:
        chosen = self._chosen()
        try:
            stub = getattr(self._stubs[chosen][service], method)
            return await stub(request, timeout=timeout, metadata=_NEEDS_LEADER)
        except grpc.aio.AioRpcError as error:
            raise self.failed(chosen, error) from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise Unavailable("the connection to etcd was closed") from None

    def stream(self, service: str, method: str) -> EtcdStream:
        """A bidirectional stream to the current endpoint."""
        chosen = self._chosen()
        stream = EtcdStream(self, chosen, getattr(self._stubs[chosen][service], method)(metadata=_NEEDS_LEADER))
        self._streams.add(stream)
        return stream

    def drop(self, endpoints: Collection[str]) -> None:
        """Never use these endpoints again, unless no others remain."""
        for number, endpoint in enumerate(self.endpoints):
            if endpoint in endpoints:
                self.avoid(number, math.inf)

    def avoid(self, endpoint: int, seconds: float = DOUBT) -> None:
        """Use other endpoints for a while, if there are any. Streams on this one are cancelled, as they may be dead
        too."""
        doubted = self._doubts[endpoint]
        self._doubts[endpoint] = max(doubted, asyncio.get_running_loop().time() + seconds)
        if self._chosen() != endpoint:
            for stream in [stream for stream in self._streams if stream.endpoint == endpoint]:
                stream.cancel()

    def avoid_host(self, address: str) -> None:
        """Avoid the endpoints on a host that does not answer at all."""
        for number, endpoint in enumerate(self.endpoints):
            if endpoint.rpartition(":")[0].strip("[]") == address:
                self.avoid(number)

    def _chosen(self) -> int:
        """The first endpoint that is not avoided, since the first is nearest; else the one avoided for the least
        time."""
        now = asyncio.get_running_loop().time()
        return min(range(len(self.endpoints)), key=lambda one: (max(self._doubts[one] - now, 0.0), one))

    def forget(self, stream: EtcdStream) -> None:
        """Remove a stream that has ended."""
        self._streams.discard(stream)

    def failed(self, endpoint: int, error: grpc.aio.AioRpcError) -> ArgosyError:
        """The exception for a failed call. If another endpoint may do better, the next call goes there."""
        translated = _translate(error, self.endpoints[endpoint])
        if isinstance(translated, Unavailable) and UNHEALTHY not in str(translated):
            # without a leader all members fail alike, and only for a moment
            self.avoid(endpoint, LEADERLESS if "no leader" in str(translated) else DOUBT)
        return translated


class EtcdStream:
    """A bidirectional stream. Its end is always an error, because etcd never ends one in normal operation."""

    def __init__(self, connection: EtcdConnection, endpoint: int, call: Any) -> None:
        self._connection, self.endpoint, self._call = connection, endpoint, call
        self._waiting: set[asyncio.Future[Any]] = set()
        self.ended = False

    async def write(self, request: Any) -> None:
        """Send one request. Raises Unavailable or EtcdError."""
        await self._guarded(self._call.write(request))

    async def read(self) -> Any:
        """The next answer. Raises Unavailable or EtcdError."""
        answer = await self._guarded(self._call.read())
        if answer is grpc.aio.EOF:
            raise Unavailable("etcd ended a stream")
        return answer

    def cancel(self) -> None:
        """End the stream; waiting reads and writes fail with Unavailable."""
        self.ended = True
        self._connection.forget(self)
        self._call.cancel()
        # grpc does not end a write that waits for a connection (to a host without power)
        for waiting in list(self._waiting):
            waiting.cancel()

    def give_up(self) -> None:
        """End the stream because the endpoint does not answer, and avoid the endpoint."""
        self._connection.avoid(self.endpoint)
        self.cancel()

    async def _guarded(self, work: Any) -> Any:
        waiting = asyncio.ensure_future(work)
        self._waiting.add(waiting)
        try:
            return await waiting
        except grpc.aio.AioRpcError as error:
            raise self._connection.failed(self.endpoint, error) from None
        except asyncio.InvalidStateError:
            raise Unavailable("etcd ended a stream") from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise Unavailable("the connection to etcd was closed") from None
        finally:
            self._waiting.discard(waiting)


def _channel(endpoint: str, credentials: Credentials | None, server_name: str | None) -> Any:
    if credentials is None:
        return grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
    options = [*_OPTIONS, ("grpc.ssl_target_name_override", server_name)] if server_name else _OPTIONS
    secrets = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
    return grpc.aio.secure_channel(endpoint, secrets, options=options)


def _translate(error: grpc.aio.AioRpcError, endpoint: str) -> ArgosyError:
    code, details = error.code(), error.details() or error.code().name
    if "database space exceeded" in details:
        return NoSpace("etcd has used up its space: compact and defragment it, then `etcdctl alarm disarm`")
    if any(words in details for words in _TOO_LARGE):
        return TooLarge(f"etcd does not take a change of this size ({details})")
    if "duplicate key" in details:
        return Conflict("one transaction changes a key twice")
    if code in _TEMPORARY:
        kind = NotProcessed if any(words in details for words in _UNTOUCHED) else Unavailable
        return kind(f"etcd at {endpoint} cannot be used now ({details})")
    return EtcdError(code, details)
