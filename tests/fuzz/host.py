"""What is fuzzed: every route of a manager's host on a real site, over a store in memory and a real runtime."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from agent.http.host_events import HostEvents
from agent.http.host_routes import routes as host_routes
from agent.http.system_info import engine_info
from agent.runtime.interface import ContainerPlan
from agent.runtime.oci_runtime import OciRuntime
from api.engine.swarm import SwarmInitRequest, SwarmJoinRequest
from api.engine.system import InfoAnswer
from api.errors import Unavailable
from api.http.app import make_app
from api.http.listening import LOCAL, GuardedSite, runner_of, unix_listener
from api.objects.kinds import KINDS
from api.objects.observed import LiveManager
from api.wire.join_messages import MemberAnswer
from manager.http.cluster.join_port import JoinPort
from manager.http.cluster_routes import routes as cluster_routes
from manager.http.networks.predefined_networks import predefined_networks
from manager.store.interface import Delete, Put
from node.http.node_routes import NodeRoutes
from node.membership.advertise_address import advertised, listening
from node.membership.new_cluster import new_cluster
from tests.agent.http.conftest import Context
from tests.agent.runtime.hosts import load, plan, run, runtime_at
from tests.fuzz.client import send
from tests.manager.http.cluster_api import NOW, OneManager, Registry, new_manager, service

INTERFACES = {"lo": ["127.0.0.1"], "eth0": ["10.1.0.1"]}


class OneSwarm:
    """A host that is a manager already; what comes in is checked as far as that goes."""

    identity = None
    address = "10.1.0.1"

    def __init__(self, manager: OneManager) -> None:
        self.context = manager

    async def init(self, request: SwarmInitRequest) -> str:
        new_cluster(request, "c1", NOW)
        host, _ = listening(request.listen_addr, 2377, INTERFACES)
        advertised(request.advertise_addr, host, INTERFACES)
        raise Unavailable("this node is already part of a swarm")

    async def join(self, request: SwarmJoinRequest) -> None:
        listening(request.listen_addr, 2377, INTERFACES)
        raise Unavailable("this node is already part of a swarm")

    async def leave(self, *, force: bool) -> None:
        raise Unavailable("it stays")


class Target:
    """A served host."""

    def __init__(self, socket: Path, routes: list[web.RouteDef], manager: OneManager, runtime: OciRuntime) -> None:
        self.socket, self.routes, self.manager, self.runtime = socket, routes, manager, runtime
        self.faults: list[str] = []
        """What the logs and the event loop complained of, with a traceback."""
        self.execs: list[str] = []
        state = manager.store.state
        self._seeded = {
            (kind.name, id): Put(kind, id, value) for kind in KINDS for id, value in state.table(kind).items()
        }

    def known(self) -> dict[str, tuple[str, ...]]:
        """Names and ids that exist now, by the first word of the paths they are used in."""
        return {
            "services": ("web", "db", "a"),
            "argosy": ("web", "db"),
            "tasks": ("t1", "web.1.t1"),
            "nodes": (*self.manager.store.state.nodes, "self", "m1", "w1"),
            "networks": ("front", "a", "ingress", "bridge"),
            "secrets": ("web", "a"),
            "configs": ("web", "a"),
            "containers": ("busy", "done"),
            "exec": tuple(self.execs),
            "images": ("demo:1", "demo", "nosuch"),
            "volumes": ("data", "vol"),
        }

    async def clear(self) -> None:
        """Take away what requests have made, and bring back what they ended."""
        store = self.manager.store
        made = [(kind, id) for kind in KINDS for id in store.state.table(kind) if (kind.name, id) not in self._seeded]
        lost = [put for put in self._seeded.values() if store.state.table(put.kind).get(put.id) != put.value]
        await store.commit([*(Delete(kind, id) for kind, id in made), *lost])
        for volume in self.runtime.volumes.all():
            if not self.runtime.volumes.in_use(volume.name):
                await self.runtime.volumes.remove(volume.name)
        if self.runtime.image_store.find("demo:1") is None:
            await load(self.runtime, self.socket.parent)
        for container in await self.runtime.containers():
            if container.name == "busy":  # a request to stop it may still be under way
                await self.runtime.remove(container.id)
        await run(self.runtime, busy(self.runtime))
        await self.prepare()

    async def prepare(self) -> None:
        """Objects that requests can be about."""
        for path, body in (
            ("/services/create", service("web", EndpointSpec={"Ports": [{"TargetPort": 80, "PublishedPort": 80}]})),
            ("/networks/create", {"Name": "front", "Driver": "overlay"}),
            ("/volumes/create", {"Name": "data"}),
            ("/containers/busy/exec", {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}),
        ):
            data = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(data)}\r\n\r\n"
            answer = await send(self.socket, head.encode() + data, 5.0)
            assert answer.status == 201, answer
            if path.endswith("/exec"):
                self.execs[:] = [json.loads(answer.text.rpartition(b"\r\n")[2])["Id"]]


def busy(runtime: OciRuntime) -> ContainerPlan:
    """A container that writes and goes on when it is asked politely to end."""
    script = "trap : TERM HUP INT; while true; do echo out; echo err >&2; sleep 1; done"
    return plan(runtime.image_store.get("demo:1"), "busy", "sh", "-c", script)


@asynccontextmanager
async def target() -> AsyncIterator[Target]:
    """A host with a service, a running container and one that has ended."""
    with tempfile.TemporaryDirectory(prefix="argosy-fuzz-") as directory:
        root = Path(directory)
        async with runtime_at(root) as runtime:
            await _containers(runtime, root)
            manager = await new_manager()
            routes = [*_routes(manager, Context(runtime, str(root / "data")), runtime), *_join_routes(manager)]
            runner = runner_of(make_app(routes))
            await runner.setup()
            await GuardedSite(runner, unix_listener(str(root / "docker.sock")), LOCAL).start()
            made = Target(root / "docker.sock", routes, manager, runtime)
            try:
                with watched(made.faults):
                    await made.prepare()
                    yield made
            finally:
                await runner.cleanup()


async def _containers(runtime: OciRuntime, root: Path) -> None:
    image = await load(runtime, root)
    await run(runtime, busy(runtime))
    await runtime.wait(await run(runtime, plan(image, "done", "sh", "-c", "echo over")))


def _routes(manager: OneManager, context: Context, runtime: OciRuntime) -> list[web.RouteDef]:
    """As node/daemon.py puts them together."""

    async def info() -> InfoAnswer:
        return await engine_info(context)

    return [
        *NodeRoutes(OneSwarm(manager), info).routes(),
        *cluster_routes(
            lambda: manager,
            Registry().ask,
            host_events=HostEvents(runtime.journal),
            host_networks=partial(predefined_networks, "n1"),
        ),
        *host_routes(lambda: context),
    ]


def _join_routes(manager: OneManager) -> list[web.RouteDef]:
    """The managers' port's own, without its TLS."""

    async def add_member(peer_url: str) -> MemberAnswer:
        return MemberAnswer("1f", "m1=https://127.0.0.1:2380", [])

    service = JoinPort(manager.store, LiveManager("10.1.0.1:2377", NOW), manager.clock, add_member)
    app = service.app([])
    return [
        web.RouteDef(route.method, route.resource.canonical, route.handler, {})
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/argosy/v1/") and route.method != "HEAD"
    ]


@contextmanager
def watched(faults: list[str]) -> Iterator[None]:
    """Collect every traceback that goes to a log, and every complaint of the event loop."""

    def processor(logger: Any, name: str, event: Any) -> Any:
        if event.get("exc_info") or name in ("error", "exception", "critical"):
            faults.append(f"{event}"[:3000])
        raise structlog.DropEvent

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info or record.levelno >= logging.ERROR:
                faults.append(self.format(record)[:3000])

    before, handler, loop = structlog.get_config(), Handler(), asyncio.get_running_loop()
    structlog.configure(processors=[structlog.processors.format_exc_info, processor], cache_logger_on_first_use=False)
    logging.getLogger().addHandler(handler)
    loop.set_exception_handler(lambda _, context: faults.append(f"{context}"[:3000]))
    try:
        yield
    finally:
        loop.set_exception_handler(None)
        logging.getLogger().removeHandler(handler)
        structlog.configure(**before)
