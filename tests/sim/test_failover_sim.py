"""How soon no living host sends connections to one without power, in virtual time.

Real are the managers' detectors, dispatchers and leaders and the agents' sessions; simulated are the store, the network
between them, and time. Who dies, when within a heartbeat, who holds whose session and how long etcd has no leader is
drawn from seeds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from agent.session.grpc_connector import CONNECT_TIMEOUT
from agent.session.interface import SessionLost
from agent.session.known_managers import KnownManagers
from agent.session.session import ManagerSession
from agent.session.status_reporter import StatusReporter
from api.codec import encode
from api.defaults import HEARTBEAT, MANAGER_TIMEOUT, PROBE_TIMEOUT
from api.objects.kinds import KINDS, MEMBER, SESSION, SUSPICIONS
from api.objects.observed import LiveManager, NodeDescription
from api.states import Role
from api.wire.assignments import AssignmentKey, EndpointAssignment, key_of
from api.wire.session_messages import AgentMessage, Assignments, ManagerMessage
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.dispatch.dispatcher import Dispatcher
from manager.hosts.host_detector import HostDetector
from manager.leader.election import Election
from manager.leader.leader import Leader
from manager.leader.planners import planners
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put
from tests import make
from tests.manager.certificates import credentials
from tests.manager.world import World, counter

pytestmark = pytest.mark.looptime

MANAGERS, WORKERS = ("m1", "m2", "m3"), ("w1", "w2", "w3")
HOSTS = (*MANAGERS, *WORKERS)
ADDRESSES = {id: f"192.0.2.{number}" for number, id in enumerate(HOSTS, 1)}
CREDENTIALS = {id: credentials(id, Role.MANAGER if id in MANAGERS else Role.WORKER) for id in HOSTS}
LATENCY = 0.01
BOUND = 2.5
"""Seconds after which no host may choose a dead one. The aim is 4; the rest is for machines that are busy."""


class Stream:
    """One session's messages: a Connection to the agent, a gRPC context to the manager.

    A kernel that gets no answer to what was sent for MANAGER_TIMEOUT ends the connection; nothing else shows a death.
    """

    def __init__(self, fleet: Fleet, node_id: str, manager: str) -> None:
        self._fleet, self._node_id, self._manager = fleet, node_id, manager
        self._up: asyncio.Queue[Any] = asyncio.Queue()
        self._down: asyncio.Queue[Any] = asyncio.Queue()
        self._broken = False

    # the agent's side

    async def send(self, message: AgentMessage) -> None:
        if self._broken:
            raise SessionLost("broken")
        if self._fleet.joined(self._node_id, self._manager):
            self._up.put_nowait(encode(message))
        else:
            asyncio.get_running_loop().call_later(MANAGER_TIMEOUT, self.break_off)

    async def receive(self) -> ManagerMessage:
        message = await self._down.get()
        if message is None:
            raise SessionLost("broken")
        return message  # type: ignore[no-any-return]

    def break_off(self) -> None:
        """The agent's side ends; the other hears of it if packets go there."""
        self._broken = True
        self._down.put_nowait(None)
        if self._fleet.joined(self._node_id, self._manager):
            self._up.put_nowait(grpc.aio.EOF)

    # the manager's side

    async def read(self) -> Any:
        return await self._up.get()

    async def write(self, message: ManagerMessage) -> None:
        await asyncio.sleep(LATENCY)
        if self._fleet.joined(self._node_id, self._manager):
            self._down.put_nowait(message)

    def peer(self) -> str:
        return f"ipv4:{ADDRESSES[self._node_id]}:50000"

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [CREDENTIALS[self._node_id].certificate]}

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        if self._fleet.joined(self._node_id, self._manager):
            self.break_off()
        raise asyncio.CancelledError


class ManagerHost:
    """What of a manager has to do with dead hosts."""

    def __init__(self, fleet: Fleet, id: str) -> None:
        self.id, self._fleet = id, fleet
        self.store = MemoryStore(fleet.clock, fleet.database)
        self.dispatcher = Dispatcher(self.store, id, fleet.clock, fleet.rng)
        detector = HostDetector(self.store, id, self.dispatcher.silent_for, self._probe, doubt=self.dispatcher.doubt)
        leader = Leader(self.store, Election(self.store, id, fleet.clock), planners(counter(id)), fleet.clock)
        works = (self.dispatcher.run(), detector.run(), leader.run())
        self._tasks = [asyncio.ensure_future(work) for work in works]

    async def _probe(self, address: str, port: int) -> bool:
        [target] = [id for id, known in ADDRESSES.items() if known == address]
        answers = self._fleet.joined(self.id, target)
        await asyncio.sleep(LATENCY if answers else PROBE_TIMEOUT)
        return answers

    async def stop(self) -> None:
        self.store.cut()
        await stop(self._tasks)


class AgentHost:
    """What of an agent has to do with it: the session, and the endpoints that it was told of last."""

    def __init__(self, fleet: Fleet, id: str, directory: Path) -> None:
        self.id, self._fleet = id, fleet
        self.resources: dict[AssignmentKey, Any] = {}
        managers = [f"{ADDRESSES[manager]}:7946" for manager in MANAGERS]
        known = KnownManagers(directory / id, managers, fleet.rng)
        described = NodeDescription(hostname=id, address=ADDRESSES[id])
        session = ManagerSession(self, known, StatusReporter(), self._apply, self._routed, described, fleet.rng)
        self._tasks = [asyncio.ensure_future(session.run())]

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[Stream]:
        [manager] = [id for id, known in ADDRESSES.items() if address == f"{known}:7946"]
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                while not self._fleet.joined(self.id, manager):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise SessionLost(f"{manager} does not answer") from None
        await asyncio.sleep(5 * LATENCY)
        stream = Stream(self._fleet, self.id, manager)
        serving = asyncio.ensure_future(self._fleet.managers[manager].dispatcher.session(None, stream))
        self._fleet.serving.append(serving)
        try:
            yield stream
        finally:
            stream.break_off()

    def chooses(self, victim: str) -> bool:
        """Whether it sends connections to a host's tasks."""
        found = [one for one in self.resources.values() if isinstance(one, EndpointAssignment)]
        assert {one.node_id for one in found} == set(HOSTS), "it knows all endpoints"
        return any(one.ready for one in found if one.node_id == victim)

    async def stop(self) -> None:
        await stop(self._tasks)

    async def _routed(self) -> None:
        await asyncio.sleep(LATENCY)

    def _apply(self, message: Assignments) -> None:
        if message.full:
            self.resources.clear()
        self.resources.update({key_of(resource): resource for resource in message.put})
        for key in message.remove:
            self.resources.pop(key, None)


class Fleet:
    """All hosts, each with one task of a service. `mute` are those without power or network."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng, self.clock, self.database = random.Random(seed), loop_clock(1000.0), MemoryDatabase()
        self.mute: set[str] = set()
        self.deaf: set[tuple[str, str]] = set()
        self.serving: list[asyncio.Future[None]] = []
        self._directory = directory
        self.managers: dict[str, ManagerHost] = {}
        self.agents: dict[str, AgentHost] = {}

    async def start(self) -> None:
        nodes = [
            make.node(id, address=ADDRESSES[id], role=Role.MANAGER if id in MANAGERS else Role.WORKER) for id in HOSTS
        ]
        web = make.service(replicas=len(HOSTS), ports=[make.port(80)])
        world = World(make.cluster(), make.ingress(), *nodes, web).settle()
        first = MemoryStore(self.clock, self.database)
        for kind in KINDS:
            rows = {} if kind is SESSION else world.state.table(kind)
            if rows:
                await first.commit([Put(kind, id, value) for id, value in rows.items()])
        await first.commit([Put(MEMBER, id, LiveManager("", 0.0, f"{ADDRESSES[id]}:7946")) for id in MANAGERS])
        self.managers = {id: ManagerHost(self, id) for id in MANAGERS}
        self.agents = {id: AgentHost(self, id, self._directory) for id in HOSTS}
        await self.until(lambda: all(len(agent.resources) > 2 * len(HOSTS) for agent in self.agents.values()))
        await asyncio.sleep(2)

    def joined(self, one: str, other: str) -> bool:
        """Whether packets go between two hosts; a host always reaches itself."""
        if one == other:
            return one not in self.mute
        return not self.mute & {one, other} and (one, other) not in self.deaf

    async def cut(self, victim: str) -> None:
        """Its power."""
        self.mute.add(victim)
        await self.agents.pop(victim).stop()
        if victim in self.managers:
            await self.managers.pop(victim).stop()

    def silence_etcd(self, seconds: float) -> None:
        """Nothing that etcd is asked from now on is answered before it has a leader again."""
        loop = asyncio.get_running_loop()
        over = loop.time() + seconds
        self.database.delay = lambda: max(0.0, over - loop.time()) + 0.002

    async def until(self, holds: Any) -> float:
        """Seconds until a condition holds; 30 at most."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not holds():
            assert loop.time() < began + 30, "it never comes to that"
            await asyncio.sleep(0.01)
        return loop.time() - began

    async def stop(self) -> None:
        for host in (*self.agents.values(), *self.managers.values()):
            await host.stop()
        await stop([task for task in self.serving if isinstance(task, asyncio.Task)])


async def failover(directory: Path, seed: int, victims: Sequence[str], election: float) -> float:
    """Seconds until no host chooses the victim's task any more."""
    fleet = Fleet(directory, seed)
    await fleet.start()
    victim = fleet.rng.choice(victims)
    await asyncio.sleep(fleet.rng.uniform(0, 2 * HEARTBEAT))
    assert all(agent.chooses(victim) for agent in fleet.agents.values())
    await fleet.cut(victim)
    if election:
        fleet.silence_etcd(election)
    took = await fleet.until(lambda: not any(agent.chooses(victim) for agent in fleet.agents.values()))
    for _ in range(60):  # it stays so, when others judge and leases end
        await asyncio.sleep(0.1)
        assert not any(agent.chooses(victim) for agent in fleet.agents.values())
    others = [id for id in HOSTS if id != victim]
    assert all(agent.chooses(other) for agent in fleet.agents.values() for other in others), "nobody else is avoided"
    await fleet.stop()
    return took


@pytest.mark.parametrize("seed", range(8))
async def test_a_dead_worker_is_chosen_no_more(tmp_path: Path, seed: int) -> None:
    assert await failover(tmp_path, seed, WORKERS, 0.0) < BOUND


@pytest.mark.parametrize("seed", range(8))
async def test_a_dead_manager_is_chosen_no_more(tmp_path: Path, seed: int) -> None:
    assert await failover(tmp_path, seed, MANAGERS, 0.0) < BOUND


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("election", [1.0, 2.0, 4.0])
async def test_a_dead_manager_is_chosen_no_more_while_etcd_elects_a_leader(
    tmp_path: Path, seed: int, election: float
) -> None:
    assert await failover(tmp_path, seed, MANAGERS, election) < BOUND


async def test_a_host_whose_agent_hangs_or_whose_network_was_away_for_a_moment_is_chosen_as_before(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path, 1)
    await fleet.start()
    await fleet.agents.pop("w1").stop()  # its kernel answers
    for _ in range(50):
        await asyncio.sleep(0.1)
        assert all(agent.chooses("w1") for agent in fleet.agents.values())

    fleet.mute.add("w2")
    agents = [agent for id, agent in fleet.agents.items() if id != "w2"]
    await fleet.until(lambda: not any(agent.chooses("w2") for agent in agents))
    fleet.mute.discard("w2")
    assert await fleet.until(lambda: all(agent.chooses("w2") for agent in agents)) < 2 * PROBE_TIMEOUT
    await fleet.stop()


async def test_one_bad_link_makes_nobody_avoid_a_host(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, 2)
    await fleet.start()
    fleet.deaf |= {("m1", "m2"), ("m2", "m1")}
    for _ in range(100):
        await asyncio.sleep(0.1)
        rows = fleet.managers["m3"].store.state.table(SUSPICIONS)
        assert all(agent.chooses(host) for agent in fleet.agents.values() for host in HOSTS), rows
    await fleet.stop()
