"""The whole control plane, with agents whose runtime does nothing: how long a large service takes from word to deed.

    python -m tests.bench.control [--quick] [--network] > result.json

One manager as in production (its own etcd member with mTLS, leader, dispatcher, HTTP handlers) in this process; ten
agents (agent.main.Agent over gRPC with mTLS, their journals on disk) in another. Runtime and networks are the fakes of
the tests, whose containers start at once. What is wanted goes through the HTTP API on a unix socket; what came of it
is read from the manager's state. `--network` gives the service an overlay network, so that every host is told of every
endpoint. swarmkit's figures are of 3 managers and its agents in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from agent.main import Agent, AgentConfig
from agent.rpclink import RpcLink
from api.http import make_app
from api.objects import CLUSTER, DEFAULT_CLUSTER, INGRESS, NETWORK, NODE, Cluster, Network, Node
from api.rpc import Credentials
from api.specs import NetworkSpec
from api.states import GOING, TaskState
from kit.tasks import stop
from kit.timing import wall_clock
from manager.etcd_command import MemberSettings
from manager.http import routes
from manager.main import Manager, ManagerOptions
from manager.store.base import Put
from manager.store.state import State
from node.hostserver import HostServer
from tests.bench.report import Row, percentile, show
from tests.contracts.certificates import Authority
from tests.contracts.etcd_process import free_ports
from tests.fakes import FakeNetworks, FakeRuntime

AGENTS = 10
IMAGE = "app@sha256:" + "0" * 64
LOOPBACK = "127.0.0.1"
THEIRS = {
    1000: {"assigned": 0.31, "running": 1.6, "update": 6.0, "removal": 2.2},
    5000: {"running": 9.8, "update": 72.0, "removal": 15.0},
}
"""swarmkit's seconds, by replicas."""
WRITES = 1100.0
DEADLINE = 180.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 replicas only")
    parser.add_argument("--network", action="store_true", help="on an overlay network")
    parser.add_argument("--profile", metavar="FILE", help="write a profile of the manager's process")
    options = parser.parse_args(arguments)
    _quiet()
    sizes = [1000] if options.quick else [1000, 5000]
    if options.profile:
        import cProfile

        profile = cProfile.Profile()
        profile.runcall(asyncio.run, run(sizes, options.network))
        profile.dump_stats(options.profile)
    else:
        asyncio.run(run(sizes, options.network))


def _quiet() -> None:
    """Standard output is the result's; warnings go to standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(30), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )


async def run(sizes: Sequence[int], network: bool) -> None:
    """Everything, on one cluster."""
    async with plane() as (manager, client):
        targets = [await create_network(client)] if network else []
        rows: list[Row] = []
        for size in sizes:
            print(f"{size} replicas", file=sys.stderr, flush=True)
            gc.collect()
            rows += await life(manager, client, size, targets)
        rows += await writes(client)
    show(rows, {"agents": AGENTS, "managers": 1, "network": network})


async def life(manager: Manager, client: aiohttp.ClientSession, size: int, networks: list[str]) -> list[Row]:
    """Create, update and remove a service of so many replicas."""
    state, theirs = manager.store.state, THEIRS.get(size, {})
    start, cpu = time.perf_counter(), time.process_time()
    id = (await call(client, "POST", "/services/create", spec(size, networks)))["ID"]
    await until(manager, lambda: len(state.tasks_in(TaskState.ASSIGNED)) >= size)
    assigned = time.perf_counter() - start
    await until(manager, lambda: running(state, 1) >= size)
    seconds = {"assigned": assigned, "running": time.perf_counter() - start}
    seconds["update"] = await timed(update(manager, client, id, size, networks))
    seconds["removal"] = await timed(remove(manager, client, id))
    spent = time.process_time() - cpu
    rows = [
        Row(f"{size:,} replicas: {what}", "all", took, "s", theirs.get(what), True, {"tasks/s": round(size / took)})
        for what, took in seconds.items()
    ]
    rows[-1].details["manager's CPU s in all four"] = round(spent, 2)
    return rows


async def update(manager: Manager, client: aiohttp.ClientSession, id: str, size: int, networks: list[str]) -> None:
    """Replace all tasks at once; returns when the new ones run and the update is called complete."""
    state = manager.store.state
    version = (await call(client, "GET", f"/services/{id}"))["Version"]["Index"]
    await call(client, "POST", f"/services/{id}/update?version={version}", spec(size, networks, force=1))
    revision = state.services[id].revision
    await until(manager, lambda: running(state, revision) >= size)


async def remove(manager: Manager, client: aiohttp.ClientSession, id: str) -> None:
    """Until nothing is left of the service."""
    await call(client, "DELETE", f"/services/{id}")
    await until(manager, lambda: not manager.store.state.tasks and not manager.store.state.statuses)


async def writes(client: aiohttp.ClientSession, number: int = 2000, at_once: int = 32) -> list[Row]:
    """Small objects through the API: configs, each a commit of its own."""
    took: list[float] = []

    async def write(lane: int) -> None:
        for count in range(lane, number, at_once):
            start = time.perf_counter()
            await call(client, "POST", "/configs/create", {"Name": f"c{count}", "Data": "eA=="})
            took.append(time.perf_counter() - start)

    seconds = await timed(asyncio.gather(*(write(lane) for lane in range(at_once))))
    details = {"in flight": at_once, "p50 ms": round(1000 * percentile(took, 0.5), 1),
               "p99": round(1000 * percentile(took, 0.99), 1)}  # fmt: skip
    return [Row("API writes", "all", number / seconds, "writes/s", WRITES, details=details)]


async def timed(work: Any) -> float:
    """Seconds it took."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def until(manager: Manager, condition: Callable[[], bool]) -> None:
    """Until the manager's state has it; looked at every 10 ms, so that looking costs little."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


def running(state: State, revision: int) -> int:
    """Tasks of a revision that are to run and do. Cheap as long as few statuses are there."""
    if len(state.statuses) < len(state.tasks) // 2:
        return 0
    return sum(
        1 for task in state.tasks.values()
        if task.revision == revision and task.desired in GOING and state.task_state(task) is TaskState.RUNNING
    )  # fmt: skip


def spec(replicas: int, networks: list[str], force: int = 0) -> dict[str, Any]:
    """The service."""
    return {
        "Name": "many",
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE},
            "ForceUpdate": force,
            "Networks": [{"Target": id} for id in networks],
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 0, "Order": "stop-first"},
    }


async def create_network(client: aiohttp.ClientSession) -> str:
    """One that has addresses for all tasks, twice."""
    config = {"Config": [{"Subnet": "10.200.0.0/16"}]}
    body = {"Name": "bench", "Driver": "overlay", "IPAM": config}
    return str((await call(client, "POST", "/networks/create", body))["Id"])


async def call(client: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """One request that succeeds."""
    async with client.request(method, path, json=body) as response:
        text = await response.text()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text}")
        return json.loads(text) if text else None


# ── the plane ────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def plane() -> AsyncIterator[tuple[Manager, aiohttp.ClientSession]]:
    """A manager, the agents' process, and a client of the API."""
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as name:
        directory, authority = Path(name), Authority()
        credentials = authority.issue("m1", "manager")
        https, etcd, peer, hosts = free_ports(4)
        manager = Manager(
            options(directory, credentials, https, etcd, peer, hosts), lambda: credentials, wall_clock, random.Random()
        )
        server = HostServer(credentials, lambda: manager.dispatcher, [])
        agents = [f"agent{number:02}" for number in range(AGENTS)]
        await manager.start(list(first(credentials, ["m1", *agents])))
        await server.start(LOOPBACK, hosts)
        issued = {id: authority.issue(id, "worker") for id in agents}
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=run_agents, args=(directory, f"{LOOPBACK}:{hosts}", issued), daemon=True)
        process.start()
        runner = web.AppRunner(make_app(routes(lambda: manager)), access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(directory / "api.sock")).start()
        connector = aiohttp.UnixConnector(str(directory / "api.sock"))
        try:
            async with aiohttp.ClientSession("http://localhost", connector=connector) as client:
                await until(manager, lambda: len(manager.store.state.sessions) == AGENTS)
                await asyncio.sleep(0.5)
                yield manager, client
        finally:
            process.kill()
            process.join()
            await runner.cleanup()
            await server.stop()
            await manager.stop()


def options(directory: Path, credentials: Credentials, https: int, etcd: int, peer: int, hosts: int) -> ManagerOptions:
    """A manager in a directory, on the loopback."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(credentials.certificate)
    key.write_bytes(credentials.key)
    member = MemberSettings("m1", directory / "etcd", LOOPBACK, client_port=etcd, peer_port=peer)
    return ManagerOptions("m1", LOOPBACK, (LOOPBACK, https), hosts, certificate, key, member)


def first(credentials: Credentials, node_ids: Sequence[str]) -> AsyncIterator[Put] | Any:
    """What stands in the store at first."""
    yield Put(CLUSTER, DEFAULT_CLUSTER, Cluster(id="c1", ca_certificate=credentials.ca.decode()))
    yield Put(NETWORK, INGRESS, Network(INGRESS, spec=NetworkSpec("ingress", "overlay", "swarm", ingress=True)))
    for id in node_ids:
        yield Put(NODE, id, Node(id))


# ── the agents' process ──────────────────────────────────────────────────────────────────────────────────────────


def run_agents(directory: Path, manager: str, credentials: dict[str, Credentials]) -> None:
    """All agents, until killed."""
    _quiet()
    asyncio.run(_run_agents(directory, manager, credentials))


async def _run_agents(directory: Path, manager: str, credentials: dict[str, Credentials]) -> None:
    tasks = []
    for id, own in credentials.items():
        runtime = FakeRuntime(wall_clock)
        runtime.add_image(IMAGE)
        config = AgentConfig(id, id, directory / id, LOOPBACK, managers=(manager,))
        link = RpcLink(lambda own=own: own)  # type: ignore[misc]
        agent = Agent(config, runtime, FakeNetworks(), link, wall_clock)
        tasks.append(asyncio.ensure_future(agent.run()))
    try:
        await asyncio.gather(*tasks)
    finally:
        await stop(tasks)


if __name__ == "__main__":
    main()
