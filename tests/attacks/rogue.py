"""A manager's session port over real gRPC and mTLS, a worker that keeps to the protocol, and one that does not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from api.codec import encode
from api.objects.decided import Gateway, NetworkDecision, NodeDecision, TaskAddress
from api.objects.kinds import NETWORK_DECISION, NODE, NODE_DECISION
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.states import NodeState, Role, TaskState
from api.wire import rpc
from api.wire.session_messages import SESSION_METHOD, Assignments, Hello, ManagerMessage, SessionInfo
from kit.supervisor import stop
from kit.timing import wall_clock
from manager.dispatch.dispatcher import Dispatcher
from manager.store.in_memory import MemoryStore
from manager.store.interface import Put
from node.membership.grpc_server import HostServer
from tests import make
from tests.manager.certificates import credentials, free_port

DEADLINE = 20.0
VICTIM, ROGUE = "n2", "n1"
HONEST = NodeDescription(hostname="h2", address="192.0.2.2")
LYING = NodeDescription(hostname="h1", address="192.0.2.1")
UNBOUNDED = {"grpc.max_send_message_length": -1, "grpc.compression_enabled_algorithms_bitset": 7}
"""What the rogue's own gRPC is told to let pass."""


class Session:
    """One stream to the manager, of raw bytes up."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def send(self, message: object) -> None:
        """A message, or any bytes. That the stream has ended is learned by reading."""
        try:
            await self.call.write(message if isinstance(message, bytes) else encode(message))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass

    async def receive(self, kind: type) -> Any:
        """The next message of a kind."""
        async with asyncio.timeout(DEADLINE):
            while not isinstance(message := await self.call.read(), kind):
                assert message is not grpc.aio.EOF, "the manager ended the session"
            return message

    async def hello(self, description: NodeDescription) -> Assignments:
        """Open the session properly."""
        await self.send(Hello(description))
        await self.receive(SessionInfo)
        first: Assignments = await self.receive(Assignments)
        return first

    async def refused(self) -> str:
        """How the stream ends: "CODE: sentence"."""
        async with asyncio.timeout(DEADLINE):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError:
                pass
            return f"{(await self.call.code()).name}: {await self.call.details()}"


@asynccontextmanager
async def a_session(address: str, creds: rpc.Credentials, compression: Any = None) -> AsyncIterator[Session]:
    """A stream to the manager at "address:port"."""
    options = {**dict(rpc.OPTIONS), **UNBOUNDED, "grpc.ssl_target_name_override": "swarm-manager"}
    channel = grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(creds.ca, creds.key, creds.certificate),
        options=list(options.items()),
        compression=compression,
    )
    call = channel.stream_stream(
        SESSION_METHOD,
        request_serializer=bytes,
        response_deserializer=lambda data: rpc.decode(ManagerMessage, data),
    )
    try:
        yield Session(call())
    finally:
        await channel.close(0)


class Scene:
    """A manager; a service with a task on each of two workers, on one network."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.port = free_port()
        self.dispatcher = Dispatcher(self.store, "m1", wall_clock, random.Random(1))
        self.server = HostServer(credentials("m1", Role.MANAGER), lambda: self.dispatcher, [])

    @property
    def state(self) -> Any:
        """What is stored."""
        return self.store.state

    async def fill(self) -> None:
        """The cluster's objects."""
        rows: list[make.Row] = [
            make.cluster(),
            *make.decided_service("s", name="web"),
            make.network("net"),
            (NETWORK_DECISION, "net", NetworkDecision("10.0.1.0/24", "10.0.1.0/25", 4097)),
        ]
        for number, id in enumerate((ROGUE, VICTIM), 1):
            gateway, address = Gateway("net", f"10.0.1.20{number}/24"), TaskAddress("net", f"10.0.1.13{number}/24")
            rows.append((NODE, id, Node(id)))
            rows.append((NODE_DECISION, id, NodeDecision(NodeState.READY, gateways=[gateway])))
            state = TaskState.ASSIGNED
            rows.append(make.task(f"t{number}", "s", slot=number, node_id=id, state=state, addresses=[address]))
        await self.store.commit([Put(*row) for row in rows])

    @asynccontextmanager
    async def session(
        self, node_id: str, creds: rpc.Credentials | None = None, compression: Any = None
    ) -> AsyncIterator[Session]:
        """A stream in a node's name."""
        async with a_session(f"127.0.0.1:{self.port}", creds or credentials(node_id), compression) as session:
            yield session

    async def until(self, holds: Callable[[Any], bool]) -> None:
        """Until a condition on the state holds."""
        async with asyncio.timeout(DEADLINE):
            while not holds(self.state):
                await self.store.wait_newer(self.state.revision)


@asynccontextmanager
async def a_cluster() -> AsyncIterator[Scene]:
    """It runs."""
    cluster = Scene()
    await cluster.fill()
    running = asyncio.ensure_future(cluster.dispatcher.run())
    await cluster.server.start("127.0.0.1", cluster.port)
    try:
        yield cluster
    finally:
        await stop([running])
        await cluster.server.stop()
