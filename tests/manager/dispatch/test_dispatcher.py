"""The dispatcher: sessions over real gRPC and mTLS, on a store in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from agent.session.grpc_connector import GrpcConnector
from api.defaults import HEARTBEAT, SESSION_LEASE
from api.node_spec import NodeSpec
from api.objects.decided import Revision, Task, TaskAddress
from api.objects.kinds import (
    APPLIED_REVISION,
    CLUSTER,
    CONFIG,
    DEFAULT_CLUSTER,
    MEMBER,
    NODE,
    REVISION,
    SERVICE,
    STATUS,
    TASK,
)
from api.objects.observed import LiveManager, NodeDescription, TaskStatus
from api.objects.wanted import Cluster as Cluster_
from api.objects.wanted import Config, Node, Service
from api.service.container import ConfigReference, ContainerSpec
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import Role, TaskState
from api.stored_file import ConfigSpec
from api.wire import rpc
from api.wire.assignments import TaskAssignment
from api.wire.session_messages import (
    SESSION_METHOD,
    Accepted,
    Assignments,
    Goodbye,
    Heartbeat,
    Hello,
    ManagerMessage,
    Part,
    SessionInfo,
    Statuses,
)
from kit.supervisor import stop
from kit.timing import wall_clock
from manager.assignments.connection_draining import ConnectionDraining
from manager.dispatch.agent_session import acceptable
from manager.dispatch.dispatcher import Dispatcher
from manager.security import ca
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put
from node.membership.grpc_server import HostServer
from tests.manager.certificates import NOW, credentials, free_port

DESCRIBED = NodeDescription(hostname="h1", address="127.0.0.1")
MANAGER = Node("m1", spec=NodeSpec(role=Role.MANAGER))
DEADLINE = 20.0


class Cluster:
    """A dispatcher on a port, and its store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.port = free_port()
        self.dispatcher: Dispatcher | None = Dispatcher(self.store, "m1", wall_clock, random.Random(1))
        self.server = HostServer(credentials("m1", Role.MANAGER), lambda: self.dispatcher, [])

    async def put(self, *puts: Put) -> None:
        """Write rows."""
        await self.store.commit(puts)

    async def task(self, id: str, node: str, **more: Any) -> None:
        """An assigned task of service s."""
        await self.put(Put(TASK, id, Task(id, "s", 1, slot=1, node_id=node, state=TaskState.ASSIGNED, **more)))

    @asynccontextmanager
    async def session(self, creds: rpc.Credentials, *, name: str = "swarm-manager") -> AsyncIterator[Any]:
        """A raw stream to the dispatcher."""
        channel = rpc.channel(f"127.0.0.1:{self.port}", creds, name)
        try:
            yield rpc.stream_stream(channel, SESSION_METHOD, ManagerMessage)()
        finally:
            await channel.close(0)

    async def until(self, holds: Any) -> None:
        """Wait until a condition on the state holds."""
        async with asyncio.timeout(DEADLINE):
            while not holds(self.store.state):
                await self.store.wait_newer(self.store.state.revision)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    spec = ServiceSpec(name="web")
    await cluster.put(Put(CLUSTER, DEFAULT_CLUSTER, Cluster_("c")))
    await cluster.put(Put(SERVICE, "s", Service("s", spec=spec)), Put(REVISION, "s.1", Revision("s", 1, spec)))
    for id in ("n1", "n2"):
        await cluster.put(Put(NODE, id, Node(id)))
    assert cluster.dispatcher is not None
    running = asyncio.ensure_future(cluster.dispatcher.run())
    await cluster.server.start("127.0.0.1", cluster.port)
    yield cluster
    await stop([running])
    await cluster.server.stop()


async def receive(call: Any, kind: type) -> Any:
    """The next message of a kind."""
    async with asyncio.timeout(DEADLINE):
        while not isinstance(message := await call.read(), kind):
            assert message is not grpc.aio.EOF
        return message


async def open_session(call: Any) -> Assignments:
    """Send the Hello. Returns the full set."""
    await call.write(Hello(DESCRIBED))
    await receive(call, SessionInfo)
    first: Assignments = await receive(call, Assignments)
    assert (first.number, first.full) == (1, True)
    return first


async def failure(call: Any) -> Any:
    """The status with which the stream ends."""
    async with asyncio.timeout(DEADLINE):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError:
            pass
        return await call.code()


async def test_a_session_opens_with_welcome_and_the_whole_set(cluster: Cluster) -> None:
    await cluster.put(Put(NODE, "m1", MANAGER), Put(MEMBER, "m1", LiveManager("127.0.0.1:2377", 0.0, "127.0.0.1:7946")))
    await cluster.put(Put(MEMBER, "n2", LiveManager("127.0.0.2:2377", 0.0, "127.0.0.2:7946")))  # demoted a moment ago
    await cluster.task("t1", "n1")
    await cluster.task("t2", "n2")
    async with cluster.session(credentials("n1")) as call:
        await call.write(Hello(DESCRIBED))
        welcome = await receive(call, SessionInfo)
        assert welcome == SessionInfo(
            HEARTBEAT, ["127.0.0.1:7946"], ["127.0.0.1:2377"], Role.WORKER, {"127.0.0.1:7946": "m1"}
        )
        first = await receive(call, Assignments)
        assert sorted(resource.id for resource in first.put) == ["m1", "n1", "n2", "s.1", "t1"]
        state = cluster.store.state
        assert state.descriptions["n1"] == DESCRIBED
        assert state.sessions["n1"].manager_id == "m1"


async def test_changes_come_as_increments_numbered_without_a_gap(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        await cluster.task("t1", "n1")
        second = await receive(call, Assignments)
        assert (second.number, second.full) == (2, False)
        assert sorted(resource.id for resource in second.put) == ["s.1", "t1"]
        await cluster.store.commit([Delete(TASK, "t1")])
        third = await receive(call, Assignments)
        assert (third.number, sorted(third.remove), third.put) == (3, [("spec", "s.1"), ("task", "t1")], [])


async def test_a_task_has_drained_when_every_host_has_confirmed_that_its_endpoint_is_gone(cluster: Cluster) -> None:
    address = [TaskAddress("net", "10.0.1.7/24")]
    for id, node in (("t1", "n1"), ("t2", "n2")):
        await cluster.task(id, node, addresses=address, desired=TaskState.RUNNING)
        await cluster.put(Put(STATUS, id, TaskStatus(TaskState.RUNNING)))
    async with cluster.session(credentials("n1")) as first, cluster.session(credentials("n2")) as second:
        for call in (first, second):
            await open_session(call)
            await call.write(Heartbeat(1))
        await cluster.until(lambda state: {"n1", "n2"} <= state.sessions.keys())
        await cluster.task("t1", "n1", addresses=address, desired=TaskState.SHUTDOWN)
        told = await receive(first, Assignments)
        assert [resource.draining for resource in told.put if isinstance(resource, TaskAssignment)] == [True]

        # n2 is on no network and was sent nothing; n1 has not confirmed yet
        assert not cluster.store.state.table(APPLIED_REVISION)
        await first.write(Heartbeat(told.number))
        released = await receive(first, Assignments)
        assert [resource.draining for resource in released.put if isinstance(resource, TaskAssignment)] == [False]


async def test_a_host_that_is_away_for_a_moment_is_waited_for_until_it_confirms_to_another_session(
    cluster: Cluster,
) -> None:
    address = [TaskAddress("net", "10.0.1.7/24")]
    async with cluster.session(credentials("n1")) as first:
        await open_session(first)
        await first.write(Heartbeat(1))
        async with cluster.session(credentials("n2")) as second:
            await open_session(second)
            await second.write(Heartbeat(1))
            for id, node in (("t1", "n1"), ("t2", "n2")):
                await cluster.task(id, node, addresses=address, desired=TaskState.RUNNING)
                await cluster.put(Put(STATUS, id, TaskStatus(TaskState.RUNNING)))
        # its stream has ended, its lease lives
        await cluster.task("t1", "n1", addresses=address, desired=TaskState.SHUTDOWN)
        while not is_told_to_stop(told := await receive(first, Assignments)):
            pass
        await first.write(Heartbeat(told.number))
        await asyncio.sleep(0.2)
        assert cluster.store.state.index(ConnectionDraining).of(cluster.store.state.tasks["t1"]).waiting
        async with cluster.session(credentials("n2")) as second:
            await open_session(second)
            await second.write(Heartbeat(1))
            await cluster.until(lambda state: not state.index(ConnectionDraining).of(state.tasks["t1"]).waiting)


def is_told_to_stop(message: Assignments) -> bool:
    return any(isinstance(one, TaskAssignment) and one.desired is TaskState.SHUTDOWN for one in message.put)


async def test_a_change_of_role_is_told(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        await cluster.put(Put(NODE, "n1", Node("n1", spec=NodeSpec(role=Role.MANAGER))))
        assert (await receive(call, SessionInfo)).role is Role.MANAGER


async def test_statuses_are_stored_before_they_are_accepted(cluster: Cluster) -> None:
    await cluster.task("t1", "n1")
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        status = TaskStatus(TaskState.RUNNING, 5.0, "started")
        await call.write(Statuses(7, {"t1": status}))
        assert await receive(call, Accepted) == Accepted(7)
        assert cluster.store.state.statuses["t1"] == status


async def test_a_node_cannot_report_on_another_nodes_task(cluster: Cluster) -> None:
    await cluster.task("t2", "n2")
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        await call.write(Statuses(1, {"t2": TaskStatus(TaskState.FAILED), "none": TaskStatus(TaskState.RUNNING)}))
        await receive(call, Accepted)
        assert not cluster.store.state.statuses


@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [
        (None, TaskState.ACCEPTED, True),
        (None, TaskState.ASSIGNED, False),
        (None, TaskState.REMOVE, False),
        (None, TaskState.ORPHANED, False),
        (TaskState.PREPARING, TaskState.RUNNING, True),
        (TaskState.RUNNING, TaskState.PREPARING, False),
        (TaskState.RUNNING, TaskState.RUNNING, False),
        (TaskState.FAILED, TaskState.RUNNING, False),
        (TaskState.RUNNING, TaskState.COMPLETE, True),
    ],
)
async def test_only_legal_moves_are_news(old: TaskState | None, new: TaskState, accepted: bool) -> None:
    store = MemoryStore()
    await store.commit([Put(TASK, "t1", Task("t1", "s", 1, node_id="n1", state=TaskState.ASSIGNED))])
    if old:
        await store.commit([Put(STATUS, "t1", TaskStatus(old))])
    assert acceptable(store.state, "n1", "t1", TaskStatus(new)) is accepted


async def test_a_changed_description_is_stored(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        changed = NodeDescription(hostname="h1", address="127.0.0.1", images=["x"])
        await call.write(Hello(changed))
        await cluster.until(lambda state: state.descriptions.get("n1") == changed)


async def test_a_second_session_of_a_node_replaces_the_first(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as first, cluster.session(credentials("n1")) as second:
        await open_session(first)
        await open_session(second)
        assert await failure(first) is grpc.StatusCode.UNAVAILABLE
        await cluster.task("t1", "n1")
        assert (await receive(second, Assignments)).number == 2


async def test_a_node_that_is_removed_loses_its_session(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        await cluster.store.commit([Delete(NODE, "n1")])
        assert await failure(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_stranger_with_a_good_certificate_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manager.security.rights.KNOWN_WITHIN", 0.1)
    async with cluster.session(credentials("n9")) as call:
        assert await failure(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_node_that_joined_a_moment_ago_is_waited_for(cluster: Cluster) -> None:
    async with cluster.session(credentials("n3")) as call:
        await call.write(Hello(DESCRIBED))
        await cluster.put(Put(NODE, "n3", Node("n3")))
        await receive(call, SessionInfo)


async def test_a_certificate_of_another_ca_gets_no_session(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1", authority=ca.new_authority(NOW))) as call:
        assert await failure(call) is grpc.StatusCode.UNAVAILABLE
    foreign = credentials("n1", authority=ca.new_authority(NOW))
    own = credentials("n1")
    async with cluster.session(rpc.Credentials(foreign.certificate, foreign.key, own.ca)) as call:
        assert await failure(call) is grpc.StatusCode.UNAVAILABLE
    assert not cluster.store.state.sessions


async def test_an_agent_does_not_talk_to_a_worker_that_poses_as_a_manager(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1"), name="swarm-worker") as call:
        assert await failure(call) is grpc.StatusCode.UNAVAILABLE


async def test_a_session_begins_with_hello(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await call.write(Heartbeat())
        assert await failure(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_host_that_is_no_manager_says_so(cluster: Cluster) -> None:
    cluster.dispatcher = None
    async with cluster.session(credentials("n1")) as call:
        assert await failure(call) is grpc.StatusCode.UNAVAILABLE
        assert "not a manager" in await call.details()


async def test_sessions_outlast_a_store_that_is_away(cluster: Cluster) -> None:
    await cluster.task("t1", "n1")
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
        cluster.store.cut()
        await call.write(Statuses(1, {"t1": TaskStatus(TaskState.RUNNING)}))
        await asyncio.sleep(0.3)
        cluster.store.heal()
        await receive(call, Accepted)
        assert cluster.store.state.statuses["t1"].state is TaskState.RUNNING


async def test_a_broken_stream_leaves_the_lease_to_run_out(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1")) as call:
        await open_session(call)
    assert cluster.dispatcher is not None
    async with asyncio.timeout(DEADLINE):
        while cluster.dispatcher.connected:
            await asyncio.sleep(0.01)
    assert "n1" in cluster.store.state.sessions
    async with asyncio.timeout(SESSION_LEASE + DEADLINE):
        await cluster.until(lambda state: "n1" not in state.sessions)
    assert cluster.store.state.descriptions["n1"] == DESCRIBED


async def test_a_node_that_says_goodbye_is_known_to_have_left_at_once(cluster: Cluster) -> None:
    async with cluster.session(credentials("n1", Role.WORKER)) as call:
        await open_session(call)
        assert "n1" in cluster.store.state.sessions
        await call.write(Goodbye())
        async with asyncio.timeout(SESSION_LEASE / 2):
            while await call.read() is not grpc.aio.EOF:
                pass
            while not cluster.store.state.sessions["n1"].left:
                await cluster.store.wait_newer(cluster.store.state.revision)


async def test_a_store_that_knows_no_cluster_does_not_tell_a_node_that_it_was_removed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.security.rights.KNOWN_WITHIN", 0.1)
    await cluster.store.commit([Delete(CLUSTER, DEFAULT_CLUSTER), Delete(NODE, "n1")])
    async with cluster.session(credentials("n1", Role.WORKER)) as call:
        await call.write(Hello(DESCRIBED))
        assert await failure(call) is grpc.StatusCode.UNAVAILABLE


async def test_a_set_larger_than_a_message_comes_in_parts_over_the_agents_own_connector(cluster: Cluster) -> None:
    """Six configs of a megabyte, and then some that are added to a session under way."""
    files = [f"c{number}" for number in range(6)]
    references = [ConfigReference(config_id=id, config_name=id) for id in files]
    spec = ServiceSpec(name="web", task_template=TaskSpec(container_spec=ContainerSpec(image="x", configs=references)))
    await cluster.put(*[Put(CONFIG, id, Config(id, spec=ConfigSpec(id, data=bytes(1_000_000)))) for id in files])
    await cluster.put(Put(SERVICE, "s", Service("s", spec=spec)), Put(REVISION, "s.1", Revision("s", 1, spec)))
    await cluster.task("t1", "n1")
    connector = GrpcConnector(lambda: credentials("n1"))
    async with asyncio.timeout(DEADLINE), connector.connect(f"127.0.0.1:{cluster.port}") as talk:
        await talk.send(Hello(DESCRIBED))
        came: list[Any] = [await talk.receive()]
        while not isinstance(came[-1], Assignments):
            came.append(await talk.receive())
        parts = [message for message in came if isinstance(message, Part | Assignments)]
        assert len(parts) >= 3
        assert {one.id for message in parts for one in message.put} >= {*files, "s.1", "t1"}
        assert parts[-1].number == 1
        assert parts[-1].full
        await talk.send(Heartbeat(1))

        await cluster.task("t2", "n1")
        second = await talk.receive()
        assert (second.number, second.full, [one.id for one in second.put]) == (2, False, ["t2"])
        assert cluster.dispatcher
        await talk.send(Heartbeat(2))
