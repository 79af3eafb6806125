"""The host part of the Docker Engine API: which path is served by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.http import containers, images, volumes
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
    ("POST", "/containers/create", containers.refuse),
    ("POST", "/containers/{id}/{verb}", containers.refuse),
    ("DELETE", "/containers/{id}", containers.refuse),
    ("GET", "/images/json", images.listing),
    ("GET", "/images/get", images.save),
    ("POST", "/images/load", images.load),
    ("POST", "/images/create", images.create),
    ("GET", f"/images/{_NAME}/json", images.inspect),
    ("GET", f"/images/{_NAME}/history", images.history),
    ("GET", f"/images/{_NAME}/get", images.save),
    ("POST", f"/images/{_NAME}/tag", images.tag),
    ("DELETE", f"/images/{_NAME}", images.remove),
    ("GET", "/volumes", volumes.listing),
    ("POST", "/volumes/create", volumes.create),
    ("GET", "/volumes/{name}", volumes.inspect),
    ("DELETE", "/volumes/{name}", volumes.remove),
    ("GET", "/plugins", plugins),
)


def routes(get: Get) -> list[web.RouteDef]:
    """For api.http.make_app. `get` is called for each request."""
    return [web.RouteDef(method, path, _handler(get, serve), {}) for method, path, serve in _ROUTES]


def _handler(get: Get, serve: Serve) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve(request, get())

    return handle
