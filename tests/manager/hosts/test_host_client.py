"""The host client over real gRPC: hosts are found by node id, and verified by certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.runtime.interface import ContainerPlan, container_id
from agent.serving.host_service import handlers
from api.errors import Forbidden, NotFound, Unavailable
from api.objects.kinds import DESCRIPTION
from api.objects.observed import NodeDescription
from api.service.service_spec import TaskSpec
from api.states import Role
from api.wire.host_messages import LogLine, LogsRequest
from api.wire.rpc import Credentials
from manager.hosts.host_client import HostClient
from manager.store.in_memory import MemoryStore
from manager.store.interface import Put
from node.membership.grpc_server import HostServer
from tests.agent.callers import Granted, callers
from tests.fakes import FakeRuntime
from tests.manager.certificates import credentials, free_port

MANAGER = credentials("m1", Role.MANAGER)


class World:
    """A store with addresses of hosts, one host n1, and the clients that were created."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clients: list[HostClient] = []

    async def describe(self, node_id: str, port: int) -> None:
        """Store the address of a host."""
        await self.store.commit([Put(DESCRIPTION, node_id, NodeDescription(address="127.0.0.1", host_port=port))])

    def client(self, creds: Credentials = MANAGER) -> HostClient:
        """A manager's host client."""
        self.clients.append(HostClient(self.store.state, lambda: creds))
        return self.clients[-1]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world, runtime, port = World(), FakeRuntime(), free_port()
    image = runtime.add_image("demo")
    await runtime.create(ContainerPlan(container_id("t1"), "web.1.t1", "t1", image, TaskSpec(), {}, "web", ""))
    server = HostServer(
        credentials("n1"), lambda: None, [handlers(runtime, callers("n2", managers=("m1",)), Granted())]
    )
    await server.start("127.0.0.1", port)
    await world.describe("n1", port)
    yield world
    for client in world.clients:
        await client.close()
    await server.stop()


async def lines(client: HostClient, node_id: str, task_id: str = "t1") -> list[LogLine]:
    """The whole log."""
    return [line async for batch in client.logs(node_id, LogsRequest(task_id)) for line in batch]


async def test_a_log_is_read_again_and_again_on_one_channel(world: World) -> None:
    client = world.client()
    for _ in range(2):
        assert await lines(client, "n1") == [LogLine(1.0, "stdout", b"hello\n")]


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no such container"):
        await lines(world.client(), "n1", "t9")


async def test_only_managers_may_ask(world: World) -> None:
    with pytest.raises(Forbidden, match="only managers"):
        await lines(world.client(credentials("n2")), "n1")


async def test_a_host_never_heard_of_and_one_that_is_gone_are_unavailable(world: World) -> None:
    with pytest.raises(Unavailable, match="its address is not known"):
        await lines(world.client(), "n2")
    await world.describe("n2", free_port())
    with pytest.raises(Unavailable, match="n2 does not answer"):
        await lines(world.client(), "n2")


async def test_another_node_at_the_address_is_not_taken_for_the_one_asked(world: World) -> None:
    await world.describe("n2", world.store.state.descriptions["n1"].host_port)
    with pytest.raises(Unavailable, match="n2 does not answer"):
        await lines(world.client(), "n2")


async def test_a_host_that_moved_is_found_again(world: World) -> None:
    client, port = world.client(), world.store.state.descriptions["n1"].host_port
    await world.describe("n1", free_port())
    with pytest.raises(Unavailable):
        await lines(client, "n1")
    await world.describe("n1", port)
    assert await lines(client, "n1")
