"""The API of a host that is no manager: errors for the cluster's paths, answers about the host itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.engine.events import EventAnswer
from api.engine.networks import NetworkAnswer
from api.errors import NotManager
from api.http.app import make_app
from api.http.event_stream import event
from manager.http.cluster_context import ClusterContext
from manager.http.cluster_routes import routes
from manager.http.networks.predefined_networks import predefined_networks

FRONT = NetworkAnswer("front", "n1", scope="swarm", driver="overlay")
Client = TestClient[Any, Any]


class OneContainer:
    """A host where a container was started and has ended."""

    def position(self, since: float) -> int:
        return 0 if since else 2

    def after(self, position: int) -> tuple[list[EventAnswer], int]:
        events = [
            event(10.0 + n, "container", what, "c1", {"name": "box"}, "local")
            for n, what in enumerate(["start", "die"])
        ]
        return events[position:], 2

    async def newer(self, position: int) -> None:
        raise AssertionError("everything was asked of the past")


def _nobody() -> ClusterContext:
    raise NotManager("this node is not a manager")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    def networks() -> list[dict[str, Any]]:
        return [*predefined_networks("node1"), FRONT]

    app = make_app(routes(_nobody, host_events=OneContainer(), host_networks=networks))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_its_own_events(client: Client) -> None:
    query = {"since": "1", "until": "100", "filters": json.dumps({"event": ["die"]})}
    async with client.get("/events", params=query) as response:
        (told,) = [json.loads(line) for line in (await response.read()).splitlines()]
    assert (told["Type"], told["Action"], told["Actor"]["ID"], told["status"]) == ("container", "die", "c1", "die")


async def test_the_networks_it_is_on(client: Client) -> None:
    async with client.get("/networks") as response:
        assert [view["Name"] for view in await response.json()] == ["bridge", "host", "none", "front"]
    async with client.get("/networks", params={"filters": json.dumps({"scope": ["swarm"]})}) as response:
        assert [view["Name"] for view in await response.json()] == ["front"]
    async with client.get("/networks/front") as response:
        assert (await response.json())["Id"] == "n1"
    async with client.get("/networks/back") as response:
        assert (response.status, "no manager" in (await response.json())["message"]) == (404, True)
    async with client.post("/networks/prune") as response:
        assert (response.status, await response.json()) == (200, {"NetworksDeleted": None})


async def test_of_the_cluster_it_says_that_it_is_no_manager(client: Client) -> None:
    for path in ("/services", "/nodes", "/tasks", "/secrets", "/configs", "/swarm"):
        async with client.get(path) as response:
            assert (response.status, await response.json()) == (503, {"message": "this node is not a manager"})
    async with client.delete("/networks/front") as response:
        assert response.status == 503
