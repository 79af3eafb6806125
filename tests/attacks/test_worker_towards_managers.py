"""What a worker with a good certificate tries against the managers and the other hosts, and why it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from api.objects.kinds import DESCRIPTION, STATUS, TASK
from api.objects.observed import EngineDescription, TaskStatus
from api.reasons.reason import Code, Reason, reason
from api.service.resources import DiscreteResource, GenericResource, Reservations, Resources
from api.states import Role, TaskState
from api.wire import rpc
from api.wire.session_messages import Accepted, Heartbeat, Hello, Statuses
from manager.assignments.assignment_sources import assignment_set
from manager.assignments.connection_draining import ConnectionDraining
from manager.http.cluster.cluster_answers import node_answer
from manager.http.services.task_answers import TaskAnswers
from manager.security import ca
from manager.store.interface import Put
from tests.attacks.rogue import DEADLINE, HONEST, LYING, ROGUE, VICTIM, Scene, a_cluster, a_session
from tests.e2e.world import IMAGE, World
from tests.manager.certificates import AUTHORITY, NOW, credentials

RUNNING = TaskStatus(TaskState.RUNNING, 5.0)


def trouble(number: int) -> Reason:
    """Something new to say."""
    return reason(Code.NOT_HANDLED, text=f"{number}")


@pytest.fixture
async def cluster() -> AsyncIterator[Scene]:
    async with a_cluster() as running:
        yield running


# ── what it says of itself ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["not-an-ip", "", "0.0.0.0", "2001:db8::1", "10.0.0.1; reboot", "9" * 1_000_000])
async def test_an_address_that_is_none(cluster: Scene, address: str) -> None:
    async with cluster.session(VICTIM) as other, cluster.session(ROGUE) as rogue:
        await other.hello(HONEST)
        await rogue.send(Hello(replace(LYING, address=address)))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: ")
        await cluster.store.commit([Put(STATUS, "t1", RUNNING)])
        assert ROGUE not in cluster.state.descriptions
        assert all(usable(one) for one in assignment_set(cluster.state, VICTIM).values())


async def test_an_address_that_was_stored_before_there_was_a_border(cluster: Scene) -> None:
    await cluster.store.commit([Put(DESCRIPTION, ROGUE, replace(LYING, address="not-an-ip"))])
    async with cluster.session(VICTIM) as other:
        first = await other.hello(HONEST)
        assert {one.id for one in first.put} >= {"t2", "net", "t1.net"}
        assert all(usable(one) for one in first.put)
    answer = node_answer(cluster.state, cluster.state.nodes[ROGUE], "m1")
    assert "'not-an-ip' is of no use" in answer.status.message


def usable(resource: Any) -> bool:
    """Whether the overlay can make bytes of the address of a host in it."""
    host = getattr(resource, "host", "")
    return not host or len(bytes(int(part) for part in host.split("."))) == 4


async def test_the_address_of_another_host(cluster: Scene) -> None:
    async with cluster.session(VICTIM) as other, cluster.session(ROGUE) as rogue:
        await other.hello(HONEST)
        await cluster.until(lambda state: VICTIM in state.sessions)
        await rogue.send(Hello(replace(LYING, address=HONEST.address)))
        assert await rogue.refused() == (
            "INVALID_ARGUMENT: Address: 192.0.2.2 is that of node n2, which is up; "
            "advertise an address of this host, or remove the other node if it is gone"
        )
        assert ROGUE not in cluster.state.descriptions
    async with cluster.session(ROGUE) as rogue:  # nor when it has been let in
        await rogue.hello(LYING)
        await rogue.send(Hello(replace(LYING, address=HONEST.address)))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: Address: 192.0.2.2")
        assert cluster.state.descriptions[ROGUE] == LYING


async def test_the_address_of_a_host_that_restarts(cluster: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.hello(replace(LYING, address=HONEST.address))
        await cluster.until(lambda state: ROGUE in state.sessions)
        # the victim comes back, from the address itself
        monkeypatch.setattr("manager.security.border.peer_address", lambda _peer: HONEST.address, raising=False)
        async with cluster.session(VICTIM) as other:
            await other.hello(HONEST)
            assert await rogue.refused() == "INVALID_ARGUMENT: node n2 has come up at the address 192.0.2.2"
            await other.send(Statuses(1, {"t2": RUNNING}))
            assert await other.receive(Accepted) == Accepted(1)


@pytest.mark.parametrize(
    "change",
    [
        {"hostname": "h" * 1_000_000},
        {"hostname": "\x1b[2Jroot@m1"},
        {"engine": EngineDescription("v", {f"label{n}": "x" for n in range(100_000)})},
        {"engine": EngineDescription("v", {"label": "x" * 1_000_000})},
        {"resources": Resources(reservations=Reservations(10**30))},
        {"resources": Resources(reservations=Reservations(-(10**9), -(10**9)))},
        {
            "resources": Resources(
                reservations=Reservations(
                    generic_resources=[GenericResource(discrete_resource_spec=DiscreteResource("gpu", 10**30))]
                )
            )
        },
        {"devices": ["x"] * 200_000},
        {"host_port": 10**30},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_numbers_texts_and_lists_out_of_all_bounds(cluster: Scene, change: dict[str, Any]) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.send(Hello(replace(LYING, **change)))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: ")
        assert ROGUE not in cluster.state.descriptions


@pytest.mark.parametrize(
    "change",
    [
        {"images": ["nginx:latest\n", "$(reboot)"]},
        {"images": [f"i{n}" for n in range(100_000)]},
        {"tags": {"nginx:latest": "\0" * 100}},
        {"tags": {"x" * 100_000: "sha256:ab"}},
    ],
)
async def test_claims_of_images_that_are_none(cluster: Scene, change: dict[str, Any]) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.send(Hello(replace(LYING, **change)))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: ")
        assert ROGUE not in cluster.state.descriptions


# ── what it says of tasks and networks ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("time", [b"1e308", b"1e999", b"-1e308", b"-1", b"NaN", b"99999999999", b'"now"'])
async def test_a_time_that_is_none(cluster: Scene, time: bytes) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.hello(LYING)
        status = b'{"State":"running","Timestamp":' + time + b',"StartedAt":' + time + b"}"
        await rogue.send(b'{"type":"statuses","Number":1,"Statuses":{"t1":' + status + b"}}")
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: ")
        assert "t1" not in cluster.state.statuses


@pytest.mark.parametrize("time", [1e308, float("inf"), float("nan"), -1e308])
async def test_a_time_that_was_stored_before_there_was_a_border(cluster: Scene, time: float) -> None:
    await cluster.store.commit([Put(STATUS, "t1", TaskStatus(TaskState.RUNNING, time, started_at=time))])
    answer = TaskAnswers(cluster.state).of(cluster.state.tasks["t1"])
    assert answer.status.timestamp[:4] in ("0001", "9999")


async def test_a_status_of_another_hosts_task(cluster: Scene) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.hello(LYING)
        await rogue.send(Statuses(1, {"t2": TaskStatus(TaskState.FAILED), "t1": RUNNING}))
        await rogue.receive(Accepted)
        assert "t2" not in cluster.state.statuses
        assert cluster.state.statuses["t1"] == RUNNING


async def test_confirmations_of_what_it_was_never_sent(cluster: Scene) -> None:
    """A task of the victim's would be signalled while hosts still send it connections."""
    async with cluster.session(VICTIM) as other, cluster.session(ROGUE) as rogue:
        for session, description in ((other, HONEST), (rogue, LYING)):
            await session.hello(description)
            await session.send(Heartbeat(1))
        await cluster.store.commit([Put(STATUS, "t1", RUNNING), Put(STATUS, "t2", RUNNING)])
        await rogue.send(Heartbeat(1_000_000_000))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: InForce: assignments 1000000000 are confirmed")
        stopping = replace(cluster.state.tasks["t2"], desired=TaskState.SHUTDOWN)
        await cluster.store.commit([Put(TASK, "t2", stopping)])
        assert cluster.state.index(ConnectionDraining).of(cluster.state.tasks["t2"]).waiting


async def test_statuses_that_change_nothing_cost_no_write(cluster: Scene) -> None:
    async with cluster.session(ROGUE) as rogue:
        await rogue.hello(LYING)
        await rogue.send(Statuses(1, {"t1": RUNNING}))
        await rogue.receive(Accepted)
        before = cluster.state.version(STATUS, "t1")
        for number in range(2, 20):
            await rogue.send(Statuses(number, {"t1": replace(RUNNING, timestamp=5.0 + number)}))
            assert await rogue.receive(Accepted) == Accepted(number)
        assert cluster.state.version(STATUS, "t1") == before


# ── how much it says ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_of_a_hundred_megabytes(cluster: Scene) -> None:
    async with cluster.session(VICTIM) as other, cluster.session(ROGUE) as rogue:
        await other.hello(HONEST)
        await rogue.hello(LYING)
        await rogue.send(Hello(replace(LYING, hostname="h" * 100_000_000)))
        assert (await rogue.refused()).startswith("RESOURCE_EXHAUSTED: SERVER: Received message larger than max")
        await other.send(Statuses(1, {"t2": RUNNING}))
        assert await other.receive(Accepted) == Accepted(1)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compression_bomb(cluster: Scene, compression: Any) -> None:
    async with cluster.session(ROGUE, compression=compression) as rogue:
        await rogue.send(Hello(replace(LYING, hostname="h" * 60_000_000)))
        assert (await rogue.refused()).startswith(("UNIMPLEMENTED: ", "INTERNAL: "))
        assert ROGUE not in cluster.state.descriptions


@pytest.mark.parametrize(
    "bytes",
    [
        b'{"type":"hello","X":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        b'{"type":"hello","Description":' + b'{"a":' * 500_000 + b"1" + b"}" * 500_001,
        b"\xff\xfe\x00",
        b"",
        b"null",
        b'{"type":"goodnight"}',
        b'{"type":"heartbeat","InForce":"x"}',
    ],
    ids=["lists", "maps", "binary", "empty", "null", "unknown", "type"],
)
@pytest.mark.parametrize("first", [True, False])
async def test_values_nested_deep_and_other_things_that_are_no_message(
    cluster: Scene, bytes: bytes, first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster.session(ROGUE) as rogue:
        if not first:
            await rogue.hello(LYING)
        await rogue.send(bytes)
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: the message cannot be read")
        assert "Traceback" not in caplog.text


async def test_a_flood_of_statuses_is_read_no_faster_than_one_host_may_talk(
    cluster: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.dispatch.inbox.MESSAGES", (20.0, 20.0), raising=False)
    async with cluster.session(VICTIM) as other, cluster.session(ROGUE) as rogue:
        await other.hello(HONEST)
        await rogue.hello(LYING)
        loop, revision = asyncio.get_running_loop(), cluster.state.revision
        began = loop.time()

        async def flood() -> None:
            for number in range(5000):
                await rogue.send(Statuses(number, {"t1": replace(RUNNING, reason=trouble(number))}))

        flooding = asyncio.ensure_future(flood())
        for number in range(1, 6):
            await other.send(Statuses(number, {"t2": replace(RUNNING, reason=trouble(number))}))
            assert await other.receive(Accepted) == Accepted(number)
            await asyncio.sleep(0.2)
        written = cluster.state.revision - revision
        flooding.cancel()
        assert written <= 20 + 20 * (loop.time() - began) + 5 + 2


async def test_a_task_that_flaps_between_taking_connections_and_not(cluster: Scene) -> None:
    """Each time, every host on its networks would change its rules."""
    async with cluster.session(ROGUE) as rogue:
        await rogue.hello(LYING)
        loop, revision = asyncio.get_running_loop(), cluster.state.revision
        began, number = loop.time(), 0
        while loop.time() - began < 2.0:
            number += 1
            await rogue.send(Statuses(number, {"t1": replace(RUNNING, closing=bool(number % 2))}))
            await rogue.receive(Accepted)
        assert cluster.state.revision - revision <= 20 + 2 * (loop.time() - began) + 3


async def test_a_flood_of_sessions(cluster: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be sent the whole set, and take a lease."""
    monkeypatch.setattr("manager.dispatch.dispatcher.REFUSAL_PAUSE", 0.02, raising=False)
    ends = []
    for _ in range(40):
        async with cluster.session(ROGUE) as rogue:
            await rogue.send(Hello(LYING))
            first = await asyncio.wait_for(_first(rogue.call), DEADLINE)
            ends.append(first)
    assert any("opens sessions too often" in str(end) for end in ends)


async def _first(call: Any) -> object:
    try:
        return await call.read()
    except grpc.aio.AioRpcError as error:
        return error.details()


async def test_a_stream_on_which_nothing_is_said(cluster: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manager.dispatch.dispatcher.HELLO_WITHIN", 0.1, raising=False)
    async with cluster.session(ROGUE) as rogue:
        assert await rogue.refused() == "INVALID_ARGUMENT: a session begins with a Hello"


# ── in whose name ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_in_the_name_of_another_node_with_a_certificate_signed_by_itself(cluster: Scene) -> None:
    own, key = credentials(ROGUE), ca.new_key()
    posing = ca.CertificateAuthority(own.certificate, own.key)
    forged = ca.sign(posing, ca.signing_request(key), ca.Subject(VICTIM, Role.WORKER, "c1"), NOW, 3600.0)
    async with cluster.session(VICTIM, rpc.Credentials(forged + own.certificate, key, AUTHORITY.certificate)) as rogue:
        await rogue.send(Hello(LYING))
        assert (await rogue.refused()).startswith("UNAVAILABLE: ")
    assert VICTIM not in cluster.state.descriptions


# ── on real hosts ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_the_root_of_one_host_says_with_its_certificate_stops_no_other(world: World) -> None:
    files = (world.inside("w1", f"cat /var/lib/argosy/node/{name}.pem").encode() for name in ("cert", "key", "ca"))
    own, manager = rpc.Credentials(*files), f"{world.address('m1')}:7946"
    honest = replace(LYING, hostname="w1", address=world.address("w1"))
    async with a_session(manager, own) as rogue:
        await rogue.send(Hello(replace(honest, address="not-an-ip")))
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: Address: 'not-an-ip'")
    async with a_session(manager, own) as rogue:
        await rogue.send(Hello(replace(honest, address=world.address("m1"))))
        assert (await rogue.refused()).startswith(f"INVALID_ARGUMENT: Address: {world.address('m1')} is that of node")
    async with a_session(manager, own) as rogue:
        await rogue.hello(honest)
        await rogue.send(b'{"type":"statuses","Number":1,"Statuses":{"t1":{"State":"running","Timestamp":1e308}}}')
        assert (await rogue.refused()).startswith("INVALID_ARGUMENT: Statuses.t1.Timestamp")
    assert isinstance(world.api("/tasks"), list)
    world.until(lambda: set(world.node_states().values()) == {"ready"})
    publish = ("-p", "18099:8000", IMAGE, "python3", "peer.py")
    world.argosy("service", "create", "--detach", "--name", "after", "--replicas", "2", *publish)
    try:
        world.until_running("after", 2)
        for host in ("m1", "w1", "w2"):
            world.until(lambda host=host: world.ask(host, 18099))  # type: ignore[misc]
    finally:
        world.argosy("service", "rm", "after")
