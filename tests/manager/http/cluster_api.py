"""A cluster of one manager for tests of the HTTP API: a store in memory, an application, hosts whose logs are lists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.errors import NotFound, Unavailable
from api.http.app import answer, make_app
from api.network.network_spec import INGRESS, NetworkSpec
from api.node_spec import NodeSpec
from api.objects.decided import NodeDecision  # fmt: skip
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, DESCRIPTION, MEMBER, NETWORK, NODE, NODE_DECISION, SESSION
from api.objects.observed import EngineDescription, LiveManager, NodeDescription, NodeSession
from api.objects.wanted import Cluster, Network, Node
from api.registry_auth import Login
from api.service.resources import Reservations, Resources
from api.states import NodeState, Role
from api.wire.host_messages import LogLine, LogsRequest
from manager.http.cluster.cluster_answers import swarm_info
from manager.http.cluster_context import ClusterContext
from manager.http.cluster_routes import routes
from manager.images.registry import Manifest
from manager.security.ca import new_authority
from manager.status.event_log import EventLog
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put

NOW = 1_700_000_000.25
M1, W1, W2 = "m1m1m1m1m1m1m1m1m1m1m1m1m", "w1w1w1w1w1w1w1w1w1w1w1w1w", "w2w2w2w2w2w2w2w2w2w2w2w2w"
HOSTNAMES = {M1: "m1", W1: "w1", W2: "w2"}


class ListedHosts:
    """Hosts with lists as logs: task id → lines; `down` are nodes that do not answer."""

    def __init__(self) -> None:
        self.output: dict[str, list[LogLine]] = {}
        self.down: set[str] = set()
        self.asked: list[LogsRequest] = []

    async def logs(self, node_id: str, request: LogsRequest) -> AsyncIterator[list[LogLine]]:
        self.asked.append(request)
        if node_id in self.down:
            raise Unavailable(f"host {HOSTNAMES[node_id]} does not answer")
        if request.task_id not in self.output:
            raise NotFound("no such container")
        lines = self.output[request.task_id]
        for line in lines if request.tail < 0 else lines[len(lines) - request.tail :]:
            if (request.stdout and line.stream == "stdout") or (request.stderr and line.stream == "stderr"):
                yield [line]
        if request.follow:
            await asyncio.Event().wait()


@dataclass
class OneManager:
    """The context of the handlers."""

    store: MemoryStore
    hosts: ListedHosts = field(default_factory=ListedHosts)
    node_id: str = M1
    now: float = NOW
    events: EventLog = field(init=False)
    removed: list[str] = field(default_factory=list)
    """Managers that were removed from the store's quorum."""

    def __post_init__(self) -> None:
        self.events = EventLog(self.store.state, lambda: self.clock())

    async def remove_member(self, node_id: str) -> None:
        self.removed.append(node_id)

    def clock(self) -> float:
        return self.now

    def leader_id(self) -> str:
        return M1


class Registry:
    """What registries answer: full reference → manifest. Counts how often it is asked."""

    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}
        self.asked: list[tuple[str, Login | None]] = []

    async def ask(self, reference: Any, login: Login | None) -> Manifest:
        self.asked.append((str(reference), login))
        if str(reference) not in self.manifests:
            raise NotFound(f"{reference.familiar}: registry says manifest unknown")
        return self.manifests[str(reference)]


def description(node_id: str, tags: Mapping[str, str] | None = None) -> NodeDescription:
    """A host of two CPUs, with images that were loaded there under these names."""
    return NodeDescription(
        hostname=HOSTNAMES[node_id],
        architecture="x86_64",
        resources=Resources(reservations=Reservations(2_000_000_000, 4 << 30)),
        engine=EngineDescription("0.1.0", {"disk": "ssd"} if node_id == W1 else {}),
        address=f"10.1.0.{list(HOSTNAMES).index(node_id) + 1}",
        manager_port=2377 if node_id == M1 else 0,
        images=[*(tags or {}), *(tags or {}).values()],
        tags=dict(tags or {}),
    )


def seed(tags: Mapping[str, Mapping[str, str]]) -> Iterator[Put]:
    """A cluster of a manager and two workers, all ready. `tags`: by node, what its tags mean."""
    authority = new_authority(NOW)
    yield Put(
        CLUSTER,
        DEFAULT_CLUSTER,
        Cluster(
            "c1c1c1c1c1c1c1c1c1c1c1c1c", NOW, NOW, authority.certificate.decode(), authority.key.decode(),
            "0" * 25, "1" * 25,
        ),
    )  # fmt: skip
    for number, node_id in enumerate(HOSTNAMES):
        role = Role.MANAGER if node_id == M1 else Role.WORKER
        yield Put(NODE, node_id, Node(node_id, NOW + number, NOW + number, NodeSpec(role=role)))
        yield Put(DESCRIPTION, node_id, description(node_id, tags.get(node_id)))
        yield Put(NODE_DECISION, node_id, NodeDecision(NodeState.READY, NOW))
        yield Put(SESSION, node_id, NodeSession(M1, NOW))
    yield Put(MEMBER, M1, LiveManager("10.1.0.1:2377", NOW))
    yield Put(NETWORK, INGRESS, Network(INGRESS, NOW, NetworkSpec("ingress", "overlay", "swarm", ingress=True)))


async def new_manager(
    database: MemoryDatabase | None = None, tags: Mapping[str, Mapping[str, str]] | None = None
) -> OneManager:
    """A manager on a database, seeded if it is new."""
    manager = OneManager(MemoryStore(lambda: NOW, database))
    if not manager.store.state.nodes:
        await manager.store.commit(list(seed(tags or {})))
    return manager


def application(manager: ClusterContext, registry: Registry) -> web.Application:
    """The cluster's routes, and those of the node's own that the docker client uses."""

    async def ping(request: web.Request) -> web.Response:
        return web.Response(
            text="OK", headers={"Api-Version": "1.50", "Ostype": "linux", "Swarm": "active/manager", "Server": "Docker"}
        )

    async def version(request: web.Request) -> web.Response:
        return answer({"Version": "0.1.0", "ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux"})

    async def info(request: web.Request) -> web.Response:
        return answer({"ID": M1, "Name": "m1", "OSType": "linux", "Swarm": swarm_info(manager)})

    own = [web.get("/_ping", ping), web.get("/version", version), web.get("/info", info)]
    return make_app([*own, *routes(lambda: manager, registry.ask)])


@dataclass
class Api:
    """A client of an application."""

    client: TestClient[web.Request, web.Application]
    manager: OneManager
    registry: Registry
    agent: str = "tests"
    """The User-Agent; that of our own clients begins with "argosy"."""

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and decoded answer. A body of bytes is sent as it is; `filters` are encoded."""
        if "filters" in query and not isinstance(query["filters"], str):
            query["filters"] = json.dumps(query["filters"])
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"User-Agent": self.agent, **({"Content-Type": "application/json"} if data is not None else {})}
        async with self.client.request(
            method, path, data=data, params={k: str(v) for k, v in query.items()}, headers=headers
        ) as response:
            text = await response.read()
            is_json = response.content_type == "application/json" and text
            return response.status, json.loads(text) if is_json else text

    async def get(self, path: str, **query: Any) -> Any:
        """The answer of a GET that succeeds."""
        status, value = await self.call("GET", path, **query)
        assert status == 200, value
        return value

    async def create(self, name: str, **changes: Any) -> str:
        """A new service's id."""
        status, value = await self.call("POST", "/services/create", service(name, **changes))
        assert status == 201, value
        return str(value["ID"])

    async def update(self, id: str, spec: Any, **query: Any) -> tuple[int, Any]:
        """Update a service at its present version."""
        version = (await self.get(f"/services/{id}"))["Version"]["Index"]
        return await self.call("POST", f"/services/{id}/update", spec, **{"version": version, **query})


def service(name: str, image: str = "demo:1", **changes: Any) -> dict[str, Any]:
    """A minimal spec of a service; `changes` replace fields of its top level."""
    return {"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": image}}, **changes}


@asynccontextmanager
async def serve(manager: OneManager, registry: Registry | None = None) -> AsyncIterator[Api]:
    """A running API on a manager."""
    registry = registry or Registry()
    async with TestClient(TestServer(application(manager, registry))) as client:
        yield Api(client, manager, registry)
