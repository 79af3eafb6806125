"""The node's own part of the HTTP API: /_ping, /version, /info, and the host's ways into and out of a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from msgspec.structs import replace

from agent.http.system_info import version_info
from api.engine.swarm import RemoteManagerAnswer, SwarmInfoAnswer, SwarmInitRequest, SwarmJoinRequest
from api.engine.system import InfoAnswer
from api.errors import NotManager, Unavailable
from api.http.app import API_VERSION, answer, body
from api.http.query import flag
from api.states import Role
from api.version import release
from manager.http.cluster.cluster_answers import swarm_info
from manager.http.cluster_context import ClusterContext
from node.membership.identity import Identity

NOT_MANAGER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)


class Swarm(Protocol):
    """The host's membership of a cluster, as the handlers use it (node/membership/membership.py)."""

    @property
    def identity(self) -> Identity | None:
        """None outside of a cluster."""
        ...

    @property
    def address(self) -> str:
        """Where others reach this host; "" outside of a cluster."""
        ...

    @property
    def context(self) -> ClusterContext | None:
        """The running manager; None on a worker, and while a manager starts."""
        ...

    async def init(self, request: SwarmInitRequest) -> str:
        """Make a cluster; returns the node id."""
        ...

    async def join(self, request: SwarmJoinRequest) -> None:
        """Become a node of a cluster."""
        ...

    async def leave(self, *, force: bool) -> None:
        """Leave the cluster."""
        ...


def cluster_of(swarm: Swarm) -> ClusterContext:
    """The manager on this host. Raises NotManager with Docker's words, or Unavailable while it starts."""
    if (context := swarm.context) is not None:
        return context
    if swarm.identity is None:
        raise NotManager(NO_SWARM)
    if swarm.identity.role is Role.WORKER:
        raise NotManager(NOT_MANAGER)
    raise Unavailable("the manager on this node is starting, or waits for a majority of the managers; try again soon")


def swarm_state(swarm: Swarm) -> str:
    """The `Swarm` header of /_ping."""
    if swarm.identity is None:
        return "inactive"
    if swarm.identity.role is Role.MANAGER:
        return "active/manager" if swarm.context is not None else "pending"
    return "active/worker"


class NodeRoutes:
    """The handlers."""

    def __init__(self, swarm: Swarm, host_info: Callable[[], Awaitable[InfoAnswer]]) -> None:
        """`host_info` returns the host's part of GET /info."""
        self._swarm = swarm
        self._host_info = host_info

    def routes(self) -> list[web.RouteDef]:
        """For api.http.make_app."""
        return [
            web.get("/_ping", self.ping),
            web.get("/version", self.version),
            web.get("/info", self.info),
            web.post("/swarm/init", self.init),
            web.post("/swarm/join", self.join),
            web.post("/swarm/leave", self.leave),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        """GET /_ping: the API's version and the node's state, in the headers that the docker client reads first."""
        headers = {
            "Api-Version": API_VERSION,
            "Ostype": "linux",
            "Docker-Experimental": "false",
            "Builder-Version": "",
            "Swarm": swarm_state(self._swarm),
            "Server": f"Argosy/{release()} (linux)",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
        }
        return web.Response(text="" if request.method == "HEAD" else "OK", headers=headers)

    async def version(self, request: web.Request) -> web.Response:
        """GET /version."""
        return answer(version_info())

    async def info(self, request: web.Request) -> web.Response:
        """GET /info: the host's part and the cluster's."""
        return answer(replace(await self._host_info(), swarm=self._swarm_info()))

    async def init(self, request: web.Request) -> web.Response:
        """POST /swarm/init: the node id, as a JSON string."""
        return answer(await self._swarm.init(await body(request, SwarmInitRequest)))

    async def join(self, request: web.Request) -> web.Response:
        """POST /swarm/join."""
        await self._swarm.join(await body(request, SwarmJoinRequest))
        return web.Response()

    async def leave(self, request: web.Request) -> web.Response:
        """POST /swarm/leave?force=."""
        await self._swarm.leave(force=flag(request, "force"))
        return web.Response()

    def _swarm_info(self) -> SwarmInfoAnswer:
        if (context := self._swarm.context) is not None:
            return swarm_info(context)
        return worker_info(self._swarm)


def worker_info(swarm: Swarm) -> SwarmInfoAnswer:
    """The Swarm part of GET /info on a host that runs no manager now."""
    identity = swarm.identity
    if identity is None:
        return SwarmInfoAnswer()
    return SwarmInfoAnswer(
        node_id=identity.node_id,
        node_addr=swarm.address,
        local_node_state="active" if identity.role is Role.WORKER else "pending",
        remote_managers=[RemoteManagerAnswer(addr=address) for address in identity.membership.apis] or None,
    )
