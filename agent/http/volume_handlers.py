"""The /volumes paths: this host's own volumes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent.http.host_context import HostContext
from agent.runtime.volumes.local_volumes import Volume
from api.codec import Value
from api.engine.common import timestamp
from api.http.app import answer, body
from api.http.query import filters, flag, label_match
from api.ids import new_id

_FILTERS = frozenset(["name", "label", "dangling", "driver"])


class VolumeRequest(Value, frozen=True):
    """The body of POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


async def listing(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /volumes."""
    wanted = filters(request, _FILTERS)
    found = [volume for volume in context.volumes.all() if _matches(volume, wanted, context)]
    return answer({"Volumes": [form(volume, context) for volume in found], "Warnings": None})


async def inspect(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /volumes/{name}."""
    return answer(form(context.volumes.get(request.match_info["name"]), context))


async def create(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /volumes/create."""
    wanted = await body(request, VolumeRequest)
    volume = context.volumes.create(wanted.name or new_id(), wanted.driver, wanted.driver_opts, wanted.labels)
    return answer(form(volume, context), 201)


async def remove(request: web.Request, context: HostContext) -> web.StreamResponse:
    """DELETE /volumes/{name}."""
    name = request.match_info["name"]
    if not (flag(request, "force") and all(volume.name != name for volume in context.volumes.all())):
        await context.volumes.remove(name)
    return web.Response(status=204)


def form(volume: Volume, context: HostContext) -> dict[str, Any]:
    """A volume as the Engine API shows it."""
    return {
        "Name": volume.name,
        "Driver": "local",
        "Mountpoint": str(context.volumes.data(volume.name)),
        "CreatedAt": timestamp(volume.created),
        "Labels": volume.labels | ({"com.docker.volume.anonymous": ""} if volume.anonymous else {}),
        "Options": volume.options or None,
        "Scope": "local",
    }


def _matches(volume: Volume, wanted: dict[str, set[str]], context: HostContext) -> bool:
    dangling = wanted.get("dangling", set())
    unused = not context.volumes.in_use(volume.name)
    return (
        ("name" not in wanted or any(name in volume.name for name in wanted["name"]))
        and label_match(volume.labels, wanted.get("label", set()))
        and ("driver" not in wanted or "local" in wanted["driver"])
        and (not dangling or bool(dangling & {"true", "1"}) == unused)
    )
