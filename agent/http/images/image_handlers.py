"""The /images/… paths: list, inspect, load, pull, tag, remove, save."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from agent.http.host_context import HostContext
from agent.http.images import image_answers
from agent.http.response_streams import send, send_progress
from agent.runtime.host_features import machine
from agent.runtime.images import image_config
from agent.runtime.interface import Image
from api.engine.images import ProgressAnswer
from api.errors import Invalid, Unimplemented
from api.http.app import answer, upload
from api.http.query import filters, flag, label_match
from api.image_reference import parse
from api.registry_auth import HEADER, auth_json, login_of
from api.service.placement import Platform

_FILTERS = frozenset(["dangling", "label", "reference", "before", "since", "until"])
_CHUNK = 1 << 20


async def listing(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /images/json."""
    wanted = filters(request, _FILTERS)
    used = Counter(container.image_id for container in await context.runtime.containers())
    found = [image for image in context.images.all() if _matches(image, wanted, context)]
    return answer([image_answers.summary(image, used[image.id]) for image in found])


async def inspect(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /images/{name}/json."""
    image = context.images.get(request.match_info["name"])
    return answer(image_answers.inspection(image, context.images.config(image.id)))


async def history(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /images/{name}/history."""
    image = context.images.get(request.match_info["name"])
    config = context.images.config(image.id)
    times = [image_config.seconds(step.created) for step in config.history or []]
    return answer(image_answers.history(image, config, context.images.layer_sizes(image.id), times))


async def load(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /images/load."""

    async def lines() -> AsyncIterator[ProgressAnswer]:
        for loaded in await context.images.load(upload(request, _CHUNK)):
            what = f"Loaded image: {loaded.name}" if loaded.name else f"Loaded image ID: {loaded.id}"
            yield ProgressAnswer(stream=what + "\n")

    return await send_progress(request, lines())


async def create(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /images/create: a pull."""
    name, tag = request.query.get("fromImage", ""), request.query.get("tag", "")
    if not name:
        raise Unimplemented("images are not imported from file systems here; use `docker load` or `docker pull`")
    if (platform := request.query.get("platform", "")) and not _is_own(platform):
        raise Unimplemented(f"platform {platform}: a host pulls images for itself only (linux/{machine()})")
    wanted = parse(f"{name}{'@' if ':' in tag else ':'}{tag}" if tag else name)
    login = login_of(request.headers.get(HEADER, ""))

    async def lines() -> AsyncIterator[ProgressAnswer]:
        before = context.images.find(str(wanted))
        yield ProgressAnswer(status=f"Pulling from {wanted.path}", id=wanted.tag or wanted.digest)
        with tempfile.TemporaryDirectory() as directory:
            auth_file = None
            if login:
                auth_file = Path(directory) / "auth.json"
                auth_file.write_bytes(auth_json(login, wanted.domain))
            image = await context.images.pull(str(wanted), auth_file)
        for digest in image.digests:
            if digest.startswith(f"{wanted.name}@"):
                yield ProgressAnswer(status=f"Digest: {digest.partition('@')[2]}")
                break
        fresh = "Image is up to date" if before and before.id == image.id else "Downloaded newer image"
        yield ProgressAnswer(status=f"Status: {fresh} for {wanted.familiar}")

    return await send_progress(request, lines())


def _is_own(platform: str) -> bool:
    return bool(platform) and Platform.parse(platform).is_of("linux", machine())


async def tag(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /images/{name}/tag."""
    repository, label = request.query.get("repo", ""), request.query.get("tag", "")
    context.images.tag(request.match_info["name"], f"{repository}:{label}" if label else repository)
    return web.Response(status=201)


async def remove(request: web.Request, context: HostContext) -> web.StreamResponse:
    """DELETE /images/{name}."""
    removal = await context.images.remove(request.match_info["name"], flag(request, "force"))
    return answer(image_answers.removed(removal.untagged, removal.deleted))


async def save(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /images/get and /images/{name}/get."""
    names = [request.match_info["name"]] if "name" in request.match_info else request.query.getall("names", [])
    if not names:
        raise Invalid("names: say which images")
    return await send(request, context.images.export(names), "application/x-tar")


def _matches(image: Image, wanted: dict[str, set[str]], context: HostContext) -> bool:
    dangling = wanted.get("dangling", set()) & {"true", "1"}
    named = wanted.get("dangling", set()) & {"false", "0"}
    return (
        (not dangling or not (image.names or image.digests))
        and (not named or bool(image.names or image.digests))
        and label_match(image.labels, wanted.get("label", set()))
        and ("reference" not in wanted or any(image_answers.matches_reference(image, p) for p in wanted["reference"]))
        and all(image.created < context.images.get(name).created for name in wanted.get("before", ()))
        and all(image.created > context.images.get(name).created for name in wanted.get("since", ()))
    )
