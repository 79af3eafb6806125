"""What can be done by hand to a container of a service: signal it, stop it, wait for it, listen to it; and what not.

As with Swarm, a container that is ended by hand is one that has ended: its service's restart policy says what follows.
"""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from agent.http.containers.container_handlers import find
from agent.http.hijack import MULTIPLEXED, RAW, hijacked
from agent.http.host_context import HostContext
from agent.runtime.containers import signals
from agent.runtime.interface import RuntimeFailure
from api.codec import encode
from api.engine.containers import WaitAnswer
from api.errors import Invalid, Unimplemented
from api.http.query import flag, number
from kit.stdcopy import frame
from kit.streams import closable

MOST_GRACE = 365 * 86400
"""Seconds that a container may be given to stop; a year, for who means for ever says -1."""
_BY_SERVICE = "use `docker service create`, `scale`, `update` and `rm`, or `argosy stack deploy`"
_BUILD = "building images is not supported here; build elsewhere, and `docker push` there or `docker load` here"
_REFUSALS = {
    "create": f"containers are made and ended by services: {_BY_SERVICE}",
    "start": "a service's container is not started a second time; its service starts another one when it has ended",
    "restart": "a service's container is not started a second time: `docker stop` ends it and its service starts"
    " another by its restart policy; `docker service update --force` replaces all of them",
    "pause": "pausing containers is not supported; to let a service rest, scale it to 0",
    "unpause": "pausing containers is not supported",
    "rename": "a container's name is that of its task and cannot be changed",
    "update": "a container's limits are those of its service: use `docker service update`",
    "rm": "a service's container is removed with its task: `docker service rm` or `scale` ends tasks, and the oldest"
    " ended ones go by themselves (`docker swarm update --task-history-limit`)",
    "resize": "the terminal of a service's container has no size to change; that of `docker exec -it` has",
    "changes": "listing the changes in a container's file system (`docker diff`) is not supported",
    "export": "exporting a container's file system is not supported; `docker cp` copies files out of it",
    "commit": "making images of containers is not supported; build the image from a Dockerfile, and `docker load` it",
    "checkpoints": "checkpoints are not supported",
    "build": _BUILD,
    "session": _BUILD,
    "push": "pushing images is not supported; use `docker save` here and push from where it can be loaded, or skopeo",
    "search": "searching a registry is not supported",
    "plugins": "plugins are not supported",
    "auth": "logging in through the daemon (`docker login`) is not supported by Argosy: use `skopeo login REGISTRY` and"
    " `argosy service create` or `stack deploy --with-registry-auth`, which send that login to the hosts that pull",
    "grpc": _BUILD,
    "ws": "attaching over a web socket is not supported; POST /containers/{id}/attach is",
    "attestations": "attestations of images are not supported",
    "volumes": "changing a volume is for cluster volumes (CSI), which are not supported by Argosy",
}


async def kill(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/{id}/kill?signal=."""
    container = await find(request, context)
    context.runtime.kill(container.id, _signal(request))
    return web.Response(status=204)


async def stop(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/{id}/stop?t=&signal=: 304 when it has ended already."""
    container = await find(request, context)
    if not container.pid:
        return web.Response(status=304)
    spec = context.runtime.inspect(container.id).spec.container_spec
    image = context.images.find(container.image_id)
    signal = _signal(request) or spec.stop_signal or (image.stop_signal if image else "")
    grace = number(request, "t", round(spec.grace_seconds), least=-1, most=MOST_GRACE)
    await context.runtime.stop(container.id, signal, grace if grace >= 0 else float("inf"))
    return web.Response(status=204)


async def wait(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/{id}/wait: the exit code, once it has ended."""
    container = await find(request, context)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    ended = await context.runtime.wait(container.id)
    await response.write(encode(WaitAnswer(ended.code)))
    await response.write_eof()
    return response


async def attach(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/{id}/attach: what it writes from now on (with `logs`, from the start) until it ends."""
    container = await find(request, context)
    tty = context.runtime.inspect(container.id).spec.container_spec.tty
    if flag(request, "stdin"):
        raise Unimplemented(
            "nothing can be sent to a service's container; use `docker attach --no-stdin`, or `docker exec -i`"
        )
    lines = context.runtime.logs(
        container.id,
        follow=flag(request, "stream"),
        since=0.0,
        tail=-1 if flag(request, "logs") else 0,
        stdout=flag(request, "stdout"),
        stderr=flag(request, "stderr"),
        to_exit=True,
    )
    try:
        async with hijacked(request, RAW if tty else MULTIPLEXED) as (_, writer), aclosing(closable(lines)) as source:
            async for batch in source:
                writer.write(b"".join(line.text if tty else frame(line.stream, line.text) for line in batch))
                await writer.drain()
    except ConnectionError:
        pass  # nobody listens any more
    return web.Response()  # is never sent: the connection is closed


def _signal(request: web.Request) -> str:
    """The signal asked for, "" for none. Raises Invalid for one that does not exist."""
    name = request.query.get("signal", "")
    try:
        signals.number(name)
    except RuntimeFailure as error:
        raise Invalid(str(error)) from None
    return name


async def refuse(request: web.Request, context: HostContext) -> web.StreamResponse:
    """What Docker does and Argosy does not, by name: the last word of the path that says so."""
    words = [word for word in reversed(request.path.split("/")) if word in _REFUSALS]
    deletion = "rm" if request.method == "DELETE" and "containers" in request.path else ""
    raise Unimplemented(_REFUSALS[deletion or (words[0] if words else "create")])
