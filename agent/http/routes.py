"""The host part of the Docker Engine API: which path is served by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.http import actions, archive, containers, disk, execs, images, stats, volumes
from agent.http.context import Get, HostContext
from api.http import Handler, answer

Serve = Callable[[web.Request, HostContext], Awaitable[web.StreamResponse]]
_NAME = "{name:.+}"


async def plugins(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /plugins: there are none."""
    return answer([])


_ROUTES: tuple[tuple[str, str, Serve], ...] = (
    ("GET", "/containers/json", containers.listing),
    ("GET", "/containers/{id}/json", containers.inspect),
    ("GET", "/containers/{id}/logs", containers.logs),
    ("GET", "/containers/{id}/stats", stats.stats),
    ("GET", "/containers/{id}/top", stats.top),
    ("HEAD", "/containers/{id}/archive", archive.look),
    ("GET", "/containers/{id}/archive", archive.take),
    ("PUT", "/containers/{id}/archive", archive.give),
    ("POST", "/containers/prune", disk.prune_containers),
    ("POST", "/containers/{id}/kill", actions.kill),
    ("POST", "/containers/{id}/stop", actions.stop),
    ("POST", "/containers/{id}/wait", actions.wait),
    ("POST", "/containers/{id}/attach", actions.attach),
    ("POST", "/containers/{id}/exec", execs.create),
    ("POST", "/exec/{id}/start", execs.start),
    ("POST", "/exec/{id}/resize", execs.resize),
    ("GET", "/exec/{id}/json", execs.inspect),
    ("POST", "/containers/create", actions.refuse),
    ("POST", "/containers/{id}/{verb}", actions.refuse),
    ("GET", "/containers/{id}/{verb}", actions.refuse),
    ("GET", "/containers/{id}/attach/ws", actions.refuse),
    ("DELETE", "/containers/{id}/checkpoints/{checkpoint}", actions.refuse),
    ("DELETE", "/containers/{id}", actions.refuse),
    ("POST", "/commit", actions.refuse),
    ("POST", "/build", actions.refuse),
    ("POST", "/build/prune", disk.prune_builds),
    ("POST", "/build/cancel", actions.refuse),
    ("POST", "/session", actions.refuse),
    ("POST", "/grpc", actions.refuse),
    ("POST", "/auth", actions.refuse),
    ("GET", "/system/df", disk.usage),
    ("GET", "/images/search", actions.refuse),
    ("POST", "/images/prune", disk.prune_images),
    ("GET", "/images/json", images.listing),
    ("GET", "/images/get", images.save),
    ("POST", "/images/load", images.load),
    ("POST", "/images/create", images.create),
    ("GET", f"/images/{_NAME}/json", images.inspect),
    ("GET", f"/images/{_NAME}/history", images.history),
    ("GET", f"/images/{_NAME}/get", images.save),
    ("GET", f"/images/{_NAME}/attestations", actions.refuse),
    ("POST", f"/images/{_NAME}/tag", images.tag),
    ("POST", f"/images/{_NAME}/push", actions.refuse),
    ("DELETE", f"/images/{_NAME}", images.remove),
    ("GET", "/volumes", volumes.listing),
    ("POST", "/volumes/create", volumes.create),
    ("POST", "/volumes/prune", disk.prune_volumes),
    ("GET", "/volumes/{name}", volumes.inspect),
    ("DELETE", "/volumes/{name}", volumes.remove),
    ("PUT", "/volumes/{name}", actions.refuse),
    ("GET", "/plugins", plugins),
    ("GET", "/plugins/{rest:.+}", actions.refuse),
    ("POST", "/plugins/{rest:.+}", actions.refuse),
    ("DELETE", "/plugins/{rest:.+}", actions.refuse),
)


def routes(get: Get) -> list[web.RouteDef]:
    """For api.http.make_app. `get` is called for each request."""
    return [web.RouteDef(method, path, _handler(get, serve), {}) for method, path, serve in _ROUTES]


def _handler(get: Get, serve: Serve) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve(request, get())

    return handle
