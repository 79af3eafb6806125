"""GrpcConnector over real gRPC and mTLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from agent.session.grpc_connector import GrpcConnector
from agent.session.interface import HelloRefused, SessionLost
from api.objects.observed import NodeDescription, TaskStatus
from api.states import TaskState
from api.wire import rpc
from api.wire.rpc import Credentials
from api.wire.session_messages import (
    DISPATCHER,
    Accepted,
    AgentMessage,
    Assignments,
    Heartbeat,
    Hello,
    SessionInfo,
    Statuses,
)
from tests.agent.builders import NETWORK, a_spec, a_task
from tests.agent.certificates import TestCA

CA = TestCA()
DEADLINE = 30


class Dispatcher:
    """As much of a dispatcher as the protocol needs: one Assignments, and Accepted for every Statuses."""

    def __init__(self) -> None:
        self.callers: list[str] = []
        self.heard: list[AgentMessage] = []

    async def session(self, messages: AsyncIterator[AgentMessage], context: Any) -> AsyncIterator[Any]:
        """Dispatcher.Session."""
        self.callers.append(rpc.caller(context).node_id)
        async for message in messages:
            self.heard.append(message)
            if isinstance(message, Hello):
                yield SessionInfo(2.0, ["m1:7946"])
                yield Assignments(1, True, [NETWORK, a_spec(), a_task()])
            if isinstance(message, Statuses):
                yield Accepted(message.number)
            if isinstance(message, Heartbeat):
                return


@asynccontextmanager
async def serving(dispatcher: Dispatcher, credentials: Credentials) -> AsyncIterator[str]:
    """The dispatcher's address."""
    server = grpc.aio.server()
    handler = rpc.stream_stream_handler(dispatcher.session, AgentMessage)
    server.add_generic_rpc_handlers((rpc.service(DISPATCHER, {"Session": handler}),))
    port = server.add_secure_port("127.0.0.1:0", rpc.server_credentials(credentials))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def test_a_whole_conversation() -> None:
    dispatcher = Dispatcher()
    connector = GrpcConnector(lambda: CA.issue("w1", "worker"))
    async with (
        asyncio.timeout(DEADLINE),
        serving(dispatcher, CA.issue("m1", "manager")) as address,
        connector.connect(address) as talk,
    ):
        await talk.send(Hello(NodeDescription(hostname="w1")))
        assert await talk.receive() == SessionInfo(2.0, ["m1:7946"])
        assert await talk.receive() == Assignments(1, True, [NETWORK, a_spec(), a_task()])

        # Several tasks send at once; gRPC itself takes one message at a time.
        batches = [Statuses(number, {"t1": TaskStatus(TaskState.RUNNING)}) for number in range(20)]
        await asyncio.gather(*[talk.send(batch) for batch in batches])
        assert [await talk.receive() for _ in batches] == [Accepted(number) for number in range(20)]

        await talk.send(Heartbeat())
        with pytest.raises(SessionLost, match="ended the session"):
            await talk.receive()
    assert dispatcher.callers == ["w1"]


async def greet(connector: GrpcConnector, address: str, node_id: str) -> object:
    """The answer to a Hello."""
    async with connector.connect(address, node_id) as talk:
        await talk.send(Hello(NodeDescription()))
        return await talk.receive()


async def test_another_manager_at_the_address_than_the_one_expected_gets_no_session() -> None:
    """A former manager that has taken a present one's address."""
    dispatcher, connector = Dispatcher(), GrpcConnector(lambda: CA.issue("w1", "worker"))
    async with asyncio.timeout(DEADLINE), serving(dispatcher, CA.issue("m2", "manager")) as address:
        with pytest.raises(SessionLost):
            await greet(connector, address, "m1")
        assert await greet(connector, address, "m2")
    assert dispatcher.callers == ["w1"]


async def test_nobody_there_is_a_lost_session() -> None:
    async with (
        asyncio.timeout(DEADLINE),
        GrpcConnector(lambda: CA.issue("w1", "worker")).connect("127.0.0.1:1") as talk,
    ):
        with pytest.raises(SessionLost, match=r"127\.0\.0\.1:1"):
            await talk.receive()
        with pytest.raises(SessionLost):
            await talk.send(Heartbeat())


async def test_a_manager_that_says_nothing_at_all_is_soon_given_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(SessionLost, match="cannot be reached"):
                async with GrpcConnector(lambda: CA.issue("w1", "worker")).connect(address):
                    pass


async def test_a_worker_cannot_pass_for_a_manager() -> None:
    connector = GrpcConnector(lambda: CA.issue("w1", "worker"))
    async with (
        asyncio.timeout(DEADLINE),
        serving(Dispatcher(), CA.issue("w2", "worker")) as address,
        connector.connect(address) as talk,
    ):
        with pytest.raises(SessionLost):
            await talk.receive()


async def test_a_refusal_comes_with_its_sentence_and_is_told_from_a_loss() -> None:
    class Refusing(Dispatcher):
        async def session(self, messages: AsyncIterator[AgentMessage], context: Any) -> AsyncIterator[Any]:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Address: 'x' is not an IPv4 address")
            yield

    async with (
        asyncio.timeout(DEADLINE),
        serving(Refusing(), CA.issue("m1", "manager")) as address,
        GrpcConnector(lambda: CA.issue("w1", "worker")).connect(address) as talk,
    ):
        with pytest.raises(HelloRefused, match="'x' is not an IPv4 address"):
            await talk.receive()
