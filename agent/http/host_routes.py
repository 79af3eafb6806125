"""The host part of the Docker Engine API: which path is served by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.http import disk_usage, volume_handlers
from agent.http.containers import (
    container_actions,
    container_execs,
    container_files,
    container_handlers,
    container_stats,
)
from agent.http.host_context import Get, HostContext
from agent.http.images import image_handlers
from api.http.app import Handler, answer

Serve = Callable[[web.Request, HostContext], Awaitable[web.StreamResponse]]
_NAME = "{name:.+}"


async def plugins(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /plugins: there are none."""
    return answer([])


_ROUTES: tuple[tuple[str, str, Serve], ...] = (
    ("GET", "/containers/json", container_handlers.listing),
    ("GET", "/containers/{id}/json", container_handlers.inspect),
    ("GET", "/containers/{id}/logs", container_handlers.logs),
    ("GET", "/containers/{id}/stats", container_stats.stats),
    ("GET", "/containers/{id}/top", container_stats.top),
    ("HEAD", "/containers/{id}/archive", container_files.look),
    ("GET", "/containers/{id}/archive", container_files.take),
    ("PUT", "/containers/{id}/archive", container_files.give),
    ("POST", "/containers/prune", disk_usage.prune_containers),
    ("POST", "/containers/{id}/kill", container_actions.kill),
    ("POST", "/containers/{id}/stop", container_actions.stop),
    ("POST", "/containers/{id}/wait", container_actions.wait),
    ("POST", "/containers/{id}/attach", container_actions.attach),
    ("POST", "/containers/{id}/exec", container_execs.create),
    ("POST", "/exec/{id}/start", container_execs.start),
    ("POST", "/exec/{id}/resize", container_execs.resize),
    ("GET", "/exec/{id}/json", container_execs.inspect),
    ("POST", "/containers/create", container_actions.refuse),
    ("POST", "/containers/{id}/{verb}", container_actions.refuse),
    ("GET", "/containers/{id}/{verb}", container_actions.refuse),
    ("GET", "/containers/{id}/attach/ws", container_actions.refuse),
    ("DELETE", "/containers/{id}/checkpoints/{checkpoint}", container_actions.refuse),
    ("DELETE", "/containers/{id}", container_actions.refuse),
    ("POST", "/commit", container_actions.refuse),
    ("POST", "/build", container_actions.refuse),
    ("POST", "/build/prune", disk_usage.prune_builds),
    ("POST", "/build/cancel", container_actions.refuse),
    ("POST", "/session", container_actions.refuse),
    ("POST", "/grpc", container_actions.refuse),
    ("POST", "/auth", container_actions.refuse),
    ("GET", "/system/df", disk_usage.usage),
    ("GET", "/images/search", container_actions.refuse),
    ("POST", "/images/prune", disk_usage.prune_images),
    ("GET", "/images/json", image_handlers.listing),
    ("GET", "/images/get", image_handlers.save),
    ("POST", "/images/load", image_handlers.load),
    ("POST", "/images/create", image_handlers.create),
    ("GET", f"/images/{_NAME}/json", image_handlers.inspect),
    ("GET", f"/images/{_NAME}/history", image_handlers.history),
    ("GET", f"/images/{_NAME}/get", image_handlers.save),
    ("GET", f"/images/{_NAME}/attestations", container_actions.refuse),
    ("POST", f"/images/{_NAME}/tag", image_handlers.tag),
    ("POST", f"/images/{_NAME}/push", container_actions.refuse),
    ("DELETE", f"/images/{_NAME}", image_handlers.remove),
    ("GET", "/volumes", volume_handlers.listing),
    ("POST", "/volumes/create", volume_handlers.create),
    ("POST", "/volumes/prune", disk_usage.prune_volumes),
    ("GET", "/volumes/{name}", volume_handlers.inspect),
    ("DELETE", "/volumes/{name}", volume_handlers.remove),
    ("PUT", "/volumes/{name}", container_actions.refuse),
    ("GET", "/plugins", plugins),
    ("GET", "/plugins/{rest:.+}", container_actions.refuse),
    ("POST", "/plugins/{rest:.+}", container_actions.refuse),
    ("DELETE", "/plugins/{rest:.+}", container_actions.refuse),
)


def routes(get: Get) -> list[web.RouteDef]:
    """For api.http.make_app. `get` is called for each request."""
    return [web.RouteDef(method, path, _handler(get, serve), {}) for method, path, serve in _ROUTES]


def _handler(get: Get, serve: Serve) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve(request, get())

    return handle
