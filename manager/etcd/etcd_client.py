"""Calls to etcd: one channel per endpoint, deadlines, failover, and etcd's errors as ours.

The only way to etcd. It uses aetcd's generated stubs on grpc.aio, for aetcd's own client does not reconnect and hides
revisions.
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
"""Seconds until an endpoint that does not answer is given up; what was under way when etcd's leader died takes all."""
DOUBT = 3.0
"""Seconds for which an endpoint that failed is asked only when the others do, too."""
LEADERLESS = 0.3
"""The same for one that knows of no leader."""
UNHEALTHY = "unhealthy cluster"
"""What every endpoint answers to a change of members too soon after the last one."""
_NEEDS_LEADER = (("hasleader", "true"),)
"""Makes a member that is cut off from the others say so, rather than keep silent."""
_OPTIONS = [
    *(option for option in CONNECTION if option[0] != "grpc.keepalive_permit_without_calls"),
    ("grpc.max_receive_message_length", -1),  # a page of the store may be large; etcd has a limit of its own
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 0),  # etcd hangs up on clients that ping without a call
    ("grpc.use_local_subchannel_pool", 1),  # a new store must not inherit the back-off of an older one
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
    """An endpoint has certainly not acted on the request."""


class NoSpace(Unavailable):
    """Its quota is used up: nothing is written until there is room again."""


class EtcdError(ArgosyError):
    """An answer of etcd that is neither success nor a temporary failure."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"etcd refused a request: {details}")
        self.code = code
        self.details = details


class EtcdConnection:
    """etcd at several endpoints ("host:port"): calls go to the first that has not failed lately.

    Without credentials the channels are plain, for an etcd on the loopback or one that is protected otherwise.
    """

    def __init__(
        self, endpoints: Sequence[str], credentials: Credentials | None, server_name: str | None = MANAGER_NAME
    ) -> None:
        if not endpoints:
            raise ValueError("etcd needs at least one endpoint")
        self.endpoints = list(endpoints)
        self._server_name = server_name
        self._doubts = [0.0] * len(self.endpoints)
        """Until when each is not to be asked, by the event loop's clock."""
        self._streams: set[EtcdStream] = set()
        self._open(credentials)

    def _open(self, credentials: Credentials | None) -> None:
        self._channels = [_channel(endpoint, credentials, self._server_name) for endpoint in self.endpoints]
        self._stubs = [{name: stub(channel) for name, stub in _STUBS.items()} for channel in self._channels]

    async def renew(self, credentials: Credentials | None) -> None:
        """Connect with a new certificate from now on; what is under way is cancelled and has to be asked again."""
        old = self._channels
        self._open(credentials)
        for channel in old:
            await channel.close(CALL_TIMEOUT)

    async def follow(self, endpoints: Sequence[str], credentials: Credentials | None) -> None:
        """Go by these endpoints from now on; where they are new, what is under way has to be asked again."""
        if list(endpoints) != self.endpoints:
            self.endpoints, self._doubts = list(endpoints), [0.0] * len(endpoints)
            await self.renew(credentials)

    async def close(self) -> None:
        """Close all channels; what is under way is cancelled."""
        for channel in self._channels:
            await channel.close(None)

    async def call(self, service: str, method: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """A call that is made once: it goes to the next endpoint only if this one has certainly not acted on it.

        Raises Unavailable (the request may have been carried out all the same), TooLarge or EtcdError.
        """
        return await self._try(service, method, request, timeout, NotProcessed)

    async def ask(self, service: str, method: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """A call that may safely be made twice: every endpoint is tried before it fails."""
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
        """Never ask these again, unless no others remain."""
        for number, endpoint in enumerate(self.endpoints):
            if endpoint in endpoints:
                self.avoid(number, math.inf)

    def avoid(self, endpoint: int, seconds: float = DOUBT) -> None:
        """Make calls elsewhere for a while, if there is elsewhere; streams move too, for they may be just as dead."""
        doubted = self._doubts[endpoint]
        self._doubts[endpoint] = max(doubted, asyncio.get_running_loop().time() + seconds)
        if self._chosen() != endpoint:
            for stream in [stream for stream in self._streams if stream.endpoint == endpoint]:
                stream.cancel()

    def avoid_host(self, address: str) -> None:
        """The same for an endpoint whose host does not answer anybody."""
        for number, endpoint in enumerate(self.endpoints):
            if endpoint.rpartition(":")[0].strip("[]") == address:
                self.avoid(number)

    def _chosen(self) -> int:
        """The first endpoint that is not in doubt, for the first is the nearest; else the one that is so least long."""
        now = asyncio.get_running_loop().time()
        return min(range(len(self.endpoints)), key=lambda one: (max(self._doubts[one] - now, 0.0), one))

    def forget(self, stream: EtcdStream) -> None:
        """It has ended."""
        self._streams.discard(stream)

    def failed(self, endpoint: int, error: grpc.aio.AioRpcError) -> ArgosyError:
        """What a failed call means; one that may go better elsewhere sends the next call there."""
        translated = _translate(error, self.endpoints[endpoint])
        if isinstance(translated, Unavailable) and UNHEALTHY not in str(translated):
            # without a leader all members are the same, and it is over in a moment
            self.avoid(endpoint, LEADERLESS if "no leader" in str(translated) else DOUBT)
        return translated


class EtcdStream:
    """A stream whose end, however it comes, is an error: etcd never ends one without need."""

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
        """End it; a read that waits fails as Unavailable."""
        self.ended = True
        self._connection.forget(self)
        self._call.cancel()
        # a write that waits for a connection (to a host without power) does not hear of the call's end from grpc
        for waiting in list(self._waiting):
            waiting.cancel()

    def give_up(self) -> None:
        """End it because the endpoint keeps silent."""
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
