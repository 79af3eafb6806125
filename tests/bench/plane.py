"""A control plane to measure: one manager in this process, ten agents whose runtime does nothing in another."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from agent.main import Agent, AgentConfig
from agent.session.grpc_connector import GrpcConnector
from api.http.app import make_app
from api.network.network_spec import INGRESS, NetworkSpec
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NETWORK, NODE
from api.objects.wanted import Cluster, Network, Node
from api.wire.rpc import Credentials
from kit.supervisor import stop
from kit.timing import wall_clock
from manager.etcd.command_line import EtcdSettings
from manager.http.cluster_routes import routes
from manager.main import Manager, ManagerOptions
from manager.store.interface import Put
from manager.store.state import State
from node.membership.grpc_server import HostServer
from tests.bench.keeper import ETCD, kept_directory
from tests.contracts.certificates import Authority
from tests.contracts.etcd_process import free_ports
from tests.fakes import FakeNetworks, FakeRuntime

AGENTS = 10
IMAGE = "app@sha256:" + "0" * 64
LOOPBACK = "127.0.0.1"
DEADLINE = 180.0
"""Seconds any one condition may take."""


@dataclass(frozen=True, slots=True)
class Plane:
    """What runs, and how to reach it."""

    manager: Manager
    client: aiohttp.ClientSession
    socket: Path
    """The HTTP API's."""

    @property
    def state(self) -> State:
        """The manager's."""
        return self.manager.store.state

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until the manager's state has it; looked at every 10 ms, so that looking costs little."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0.01)


def quiet() -> None:
    """Standard output is the result's; warnings go to standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(30), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )


@asynccontextmanager
async def plane() -> AsyncIterator[Plane]:
    """All of it, once every agent has its session."""
    with kept_directory("argosy-bench-") as directory:
        authority = Authority()
        credentials = authority.issue("m1", "manager")
        https, etcd, peer, hosts = free_ports(4)
        manager = Manager(
            _options(directory, credentials, https, etcd, peer, hosts), lambda: credentials, wall_clock, random.Random()
        )
        agents = [f"agent{number:02}" for number in range(AGENTS)]
        try:
            await manager.start(list(_first(credentials, ["m1", *agents])))
            issued = {id: authority.issue(id, "worker") for id in agents}
            socket = directory / "api.sock"
            async with (
                _served(manager, credentials, hosts),
                _agents(directory, f"{LOOPBACK}:{hosts}", issued),
                _client(manager, socket) as client,
            ):
                found = Plane(manager, client, socket)
                await found.until(lambda: len(found.state.sessions) == AGENTS)
                await asyncio.sleep(0.5)
                yield found
        finally:
            await manager.stop()


@asynccontextmanager
async def _served(manager: Manager, credentials: Credentials, port: int) -> AsyncIterator[None]:
    server = HostServer(credentials, lambda: manager.dispatcher, [])
    await server.start(LOOPBACK, port)
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def _agents(directory: Path, manager: str, credentials: dict[str, Credentials]) -> AsyncIterator[None]:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_agents, args=(directory, manager, credentials), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@asynccontextmanager
async def _client(manager: Manager, socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(make_app(routes(lambda: manager)), access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        connector = aiohttp.UnixConnector(str(socket))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as client:
            yield client
    finally:
        await runner.cleanup()


def _options(directory: Path, credentials: Credentials, https: int, etcd: int, peer: int, hosts: int) -> ManagerOptions:
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(credentials.certificate)
    key.write_bytes(credentials.key)
    member = EtcdSettings("m1", directory / ETCD, LOOPBACK, client_port=etcd, peer_port=peer)
    return ManagerOptions("m1", LOOPBACK, (LOOPBACK, https), hosts, certificate, key, member)


def _first(credentials: Credentials, node_ids: Sequence[str]) -> Iterator[Put]:
    """What stands in the store at first."""
    yield Put(CLUSTER, DEFAULT_CLUSTER, Cluster(id="c1", ca_certificate=credentials.ca.decode()))
    yield Put(NETWORK, INGRESS, Network(INGRESS, spec=NetworkSpec("ingress", "overlay", "swarm", ingress=True)))
    for id in node_ids:
        yield Put(NODE, id, Node(id))


# ── the agents' process ──────────────────────────────────────────────────────────────────────────────────────────


def run_agents(directory: Path, manager: str, credentials: dict[str, Credentials]) -> None:
    """All agents, until killed, or until the benchmark's process is gone."""
    quiet()
    asyncio.run(_run_agents(directory, manager, credentials))


async def _run_agents(directory: Path, manager: str, credentials: dict[str, Credentials]) -> None:
    tasks = []
    for id, own in credentials.items():
        runtime = FakeRuntime(wall_clock)
        runtime.add_image(IMAGE)
        config = AgentConfig(id, id, directory / id, LOOPBACK, managers=(manager,))
        connector = GrpcConnector(lambda own=own: own)  # type: ignore[misc]
        agent = Agent(config, runtime, FakeNetworks(), connector, wall_clock)
        tasks.append(asyncio.ensure_future(agent.run()))
    orphaned, parent = asyncio.Event(), multiprocessing.parent_process()
    assert parent is not None, "the agents run in a process of their own"
    asyncio.get_running_loop().add_reader(parent.sentinel, orphaned.set)
    try:
        await asyncio.wait([*tasks, asyncio.ensure_future(orphaned.wait())], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await stop(tasks)
