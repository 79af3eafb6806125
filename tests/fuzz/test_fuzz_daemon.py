"""The same requests at a real argosyd: a manager with its etcd, its agent and its networks, in a namespace.

A thirtieth of `ARGOSY_FUZZ`, for it has real things to do. Leaving the cluster is left out: it would be the end of it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from agent.http.host_routes import routes as host_routes
from manager.http.cluster_routes import routes as cluster_routes
from node.http.node_routes import NodeRoutes
from tests.attacks.siege import Fortress
from tests.fuzz.client import send
from tests.fuzz.requests import Requests
from tests.fuzz.test_fuzz import COUNT, FIRST, PATIENCE

pytestmark = pytest.mark.root
KNOWN = {
    "services": ("web", "a"), "argosy": ("web",), "tasks": ("web.1.x",), "nodes": ("self",),
    "networks": ("front", "ingress"), "secrets": ("a",), "configs": ("a",), "containers": ("a",), "exec": ("a",),
    "images": ("demo:1",), "volumes": ("data",),
}  # fmt: skip


def _never() -> None:
    raise AssertionError("these routes are only looked at")


def tables() -> list[web.RouteDef]:
    """What a daemon serves, but for leaving."""
    own = NodeRoutes(_never, _never).routes()  # type: ignore[arg-type]
    every = [*own, *cluster_routes(_never), *host_routes(_never)]  # type: ignore[arg-type]
    return [route for route in every if route.path != "/swarm/leave"]


async def test_no_request_does_harm_to_a_daemon(fortress: Fortress) -> None:
    requests, statuses, faults = Requests(tables(), KNOWN), Counter[int](), list[str]()
    fortress.call("POST", "/services/create", {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "demo:1"}}})
    for seed in range(FIRST, FIRST + COUNT // 30):
        request = requests.of(seed)
        try:
            answer = await send(Path(fortress.socket), request.sent, PATIENCE)
        except TimeoutError:
            faults.append(f"no answer within {PATIENCE} s\n{request}")
            continue
        statuses[answer.status] += 1
        if answer.status == 500:
            faults.append(f"{answer.text[:500]!r}\n{request}")
    print(f"{COUNT // 30} requests to argosyd: {dict(sorted(statuses.items()))}, {fortress.memory} KiB")
    assert faults == [], "\n\n".join(faults[:10])
    log = fortress.log.read_text()
    assert "Traceback" not in log, log[max(0, log.index("Traceback") - 500) :][:3000]
    assert fortress.call("GET", "/services")[0] == 200
