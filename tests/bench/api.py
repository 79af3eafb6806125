"""What clients read of a manager: how long lists take, from the request's first byte to the answer's last.

    python -m tests.bench.api [--rounds N] > result.json

The HTTP handlers of production on a store in memory, in a process of their own, behind a unix socket; asked over one
connection by a plain socket, which decodes nothing. 100 services of 10 tasks each, on one network, all running. The
figure is the fastest of the rounds, and `cpu ms` the manager's share of it: the machine's other work is in neither.
Docker's figures are of a swarm of the same lists.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

from aiohttp import web

from api.network.network_spec import NetworkSpec
from api.node_spec import NodeSpec
from api.objects.decided import NetworkDecision, NodeDecision, Revision, ServiceDecision, ServiceVIP, Task, TaskAddress
from api.objects.kinds import (
    DESCRIPTION,
    NETWORK,
    NETWORK_DECISION,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    STATUS,
    TASK,
    revision_id,
)
from api.objects.observed import EngineDescription, NodeDescription, TaskStatus
from api.objects.wanted import Network, Node, Service
from api.service.container import ContainerSpec, Healthcheck, Mount
from api.service.mode import Mode, Replicated
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Limits, Reservations, Resources
from api.service.service_spec import NetworkTarget, RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig
from api.states import NodeState, TaskState
from manager.store.interface import Put
from tests.bench.report import Row, percentile, show
from tests.manager.http.cluster_api import NOW, Registry, application, new_manager

SERVICES, REPLICAS, NODES = 100, 10, 20
NET = "n0n0n0n0n0n0n0n0n0n0n0n0n"
DOCKERS = {"/tasks": 6.7, "/services": 0.9}
"""Docker's milliseconds."""
ASKED = ("/_ping", "/tasks", "/services", "/services?status=true", "/nodes", "/networks", "/services/shop_service-7")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args(arguments).rounds
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path, ready = str(Path(folder) / "api.sock"), context.Event()
        manager = context.Process(target=serve, args=(path, ready), daemon=True)
        manager.start()
        try:
            ready.wait()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                rows = [measure(connection, what, rounds, manager.pid or 0) for what in ASKED]
        finally:
            manager.terminate()
            manager.join()
    show(rows, {"services": SERVICES, "tasks": SERVICES * REPLICAS, "rounds": rounds})


def measure(connection: socket.socket, what: str, rounds: int, pid: int) -> Row:
    """One list, asked for so many times after a first one that fills what is kept."""
    size = ask(connection, what)
    clock = (~pid << 3) | 2  # that process's CPU clock, as clock_getcpuclockid(3) makes it
    took, cpu = [], []
    for _ in range(rounds):
        before, start = time.clock_gettime(clock), time.perf_counter()
        ask(connection, what)
        took.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.clock_gettime(clock) - before))
    details = {"p50 ms": round(percentile(took, 0.5), 2), "cpu ms": round(min(cpu), 2), "bytes": size}
    return Row(f"GET {what}", "http", min(took), "ms", DOCKERS.get(what), better_if_less=True, details=details)


def ask(connection: socket.socket, what: str) -> int:
    """One request; the length of the answer's body, all of which has come."""
    connection.sendall(f"GET /v1.50{what} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = connection.recv(1 << 20)
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 20)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *headers = head.decode().lower().split("\r\n")
    if " 200 " not in first:
        raise RuntimeError(f"GET {what}: {first}")
    length = int(next(line.partition(":")[2] for line in headers if line.startswith("content-length:")))
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(1 << 20))
    return length


def serve(path: str, ready: Event) -> None:
    """The manager, until it is terminated."""

    async def run() -> None:
        manager = await new_manager()
        await manager.store.commit(list(cluster()))
        runner = web.AppRunner(application(manager, Registry()), access_log=None)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(run())


def cluster() -> Iterator[Put]:
    """Everything that is stored."""
    yield Put(NETWORK, NET, Network(NET, NOW, NetworkSpec("shop_default", "overlay", "swarm", labels={"a": "b"})))
    yield Put(NETWORK_DECISION, NET, NetworkDecision("10.0.0.0/16", "10.0.0.0/24", 4097))
    for number in range(NODES):
        id, engine = f"node{number:021}", EngineDescription("0.1.0")
        yield Put(NODE, id, Node(id, NOW + number, NOW + number, NodeSpec()))
        about = NodeDescription(f"host-{number}", "x86_64", engine=engine, address=f"10.2.0.{number}")
        yield Put(DESCRIPTION, id, about)
        yield Put(NODE_DECISION, id, NodeDecision(NodeState.READY, NOW))
    for number in range(SERVICES):
        yield from service(f"serv{number:021}", number)


def service(id: str, number: int) -> Iterator[Put]:
    """A service that was updated once, and its tasks."""
    at, wanted = NOW + number * 0.123, spec(number)
    yield Put(SERVICE, id, Service(id, at, at, wanted, 2))
    for revision in (1, 2):
        yield Put(REVISION, revision_id(id, revision), Revision(id, revision, wanted, at))
    ports = [PortConfig(target_port=8080, published_port=8000 + number)]
    decision = ServiceDecision([ServiceVIP(NET, f"10.0.0.{number}")], ports, revision=2, wanted=2, previous=1)
    yield Put(SERVICE_DECISION, id, decision)
    for slot in range(1, REPLICAS + 1):
        yield from task(id, number, slot)


def spec(number: int) -> ServiceSpec:
    """A service as a stack's file makes it."""
    container = ContainerSpec(
        image="registry.example.com/shop/web:1.2@sha256:" + "ab" * 32,
        labels={"com.docker.stack.namespace": "shop"},
        args=["serve", "--port", "8080"],
        env=[f"SETTING_{n}=value-{n}" for n in range(10)],
        mounts=[Mount(type="volume", source="shop_data", target="/data")],
        healthcheck=Healthcheck(test=["CMD", "curl", "-f", "localhost"], interval=10**10),
    )
    return ServiceSpec(
        name=f"shop_service-{number}",
        labels={"com.docker.stack.namespace": "shop", "tier": "front"},
        task_template=TaskSpec(
            container_spec=container,
            resources=Resources(Limits(10**9, 1 << 28), Reservations(10**8, 1 << 26)),
            restart_policy=RestartPolicy("any", 5 * 10**9),
            networks=[NetworkTarget(NET, aliases=["web"])],
        ),
        mode=Mode(Replicated(REPLICAS)),
        update_config=UpdateConfig(parallelism=2, failure_action="rollback", order="start-first"),
        endpoint_spec=EndpointSpec("vip", [PortConfig(target_port=8080, published_port=8000 + number)]),
    )


def task(service_id: str, number: int, slot: int) -> Iterator[Put]:
    """A task that runs."""
    id, at, node = f"task{number:018}{slot:03}", NOW + number + slot * 0.017, f"node{(number + slot) % NODES:021}"
    addresses = [TaskAddress(NET, f"10.0.{number}.{slot}/16")]
    running = TaskStatus(TaskState.RUNNING, at + 1.1, container_id="c" * 40 + id[-24:], pid=4242)
    decided = Task(id, service_id, 2, slot, node, TaskState.ASSIGNED, addresses=addresses, created_at=at, updated_at=at)
    yield Put(TASK, id, decided)
    yield Put(STATUS, id, running)


if __name__ == "__main__":
    main()
