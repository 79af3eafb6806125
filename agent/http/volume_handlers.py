"""The /volumes paths: this host's own volumes."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET, UnsetType

from agent.http.host_context import HostContext
from agent.runtime.volumes.local_volumes import Volume
from api.engine.common import timestamp
from api.engine.volumes import VolumeAnswer, VolumeCreateRequest, VolumesAnswer, VolumeUsage
from api.http.app import answer, body
from api.http.query import filters, flag, label_match
from api.ids import new_id

_FILTERS = frozenset(["name", "label", "dangling", "driver"])


async def listing(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /volumes."""
    wanted = filters(request, _FILTERS)
    found = [volume for volume in context.volumes.all() if _matches(volume, wanted, context)]
    return answer(VolumesAnswer([volume_answer(volume, context) for volume in found]))


async def inspect(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /volumes/{name}."""
    return answer(volume_answer(context.volumes.get(request.match_info["name"]), context))


async def create(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /volumes/create."""
    wanted = await body(request, VolumeCreateRequest)
    volume = context.volumes.create(wanted.name or new_id(), wanted.driver, wanted.driver_opts, wanted.labels)
    return answer(volume_answer(volume, context), 201)


async def remove(request: web.Request, context: HostContext) -> web.StreamResponse:
    """DELETE /volumes/{name}."""
    name = request.match_info["name"]
    if not (flag(request, "force") and all(volume.name != name for volume in context.volumes.all())):
        await context.volumes.remove(name)
    return web.Response(status=204)


def volume_answer(volume: Volume, context: HostContext, usage: VolumeUsage | UnsetType = UNSET) -> VolumeAnswer:
    """A volume as the Engine API shows it."""
    return VolumeAnswer(
        name=volume.name,
        driver="local",
        mountpoint=str(context.volumes.data(volume.name)),
        created_at=timestamp(volume.created),
        labels=volume.labels | ({"com.docker.volume.anonymous": ""} if volume.anonymous else {}),
        options=volume.options or None,
        scope="local",
        usage_data=usage,
    )


def _matches(volume: Volume, wanted: dict[str, set[str]], context: HostContext) -> bool:
    dangling = wanted.get("dangling", set())
    unused = not context.volumes.in_use(volume.name)
    return (
        ("name" not in wanted or any(name in volume.name for name in wanted["name"]))
        and label_match(volume.labels, wanted.get("label", set()))
        and ("driver" not in wanted or "local" in wanted["driver"])
        and (not dangling or bool(dangling & {"true", "1"}) == unused)
    )
