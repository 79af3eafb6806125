"""GET /containers/…: what runs on this host, and its output. Containers are made by services only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import web

from agent.http.containers import container_answers
from agent.http.host_context import HostContext
from agent.http.response_streams import send
from agent.runtime.containers.container_record import Record
from agent.runtime.interface import Container
from api.bounds import whole_number
from api.engine.common import timestamp
from api.engine.containers import EndpointSettings
from api.errors import Invalid, NotFound
from api.http.app import answer
from api.http.query import filters, flag, label_match, moment, number, tail
from kit.stdcopy import frame
from kit.streams import closable

_FILTERS = frozenset([
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish", "since",
    "status", "volume",
])  # fmt: skip
_MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_RAW = "application/vnd.docker.raw-stream"


async def listing(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/json."""
    wanted = filters(request, _FILTERS)
    limit = number(request, "limit", 0, least=-1)
    everything = flag(request, "all") or limit > 0 or bool(wanted.keys() & {"status", "exited"})
    found = sorted(await context.runtime.containers(), key=lambda c: -c.created)
    records = {container.id: context.runtime.inspect(container.id) for container in found}
    bounds = {side: [_created(name, found) for name in wanted.get(side, ())] for side in ("before", "since")}
    kept = [
        c
        for c in found
        if (everything or container_answers.state(c) == "running")
        and _matches(c, records[c.id], wanted, context)
        and all(c.created < bound for bound in bounds["before"])
        and all(c.created > bound for bound in bounds["since"])
    ]
    now = context.clock()
    return answer(
        [
            container_answers.summary(
                c, records[c.id], networks(c, context), context.networks.host_ports(c.id), now, _health(c, context)
            )
            for c in (kept[:limit] if limit > 0 else kept)
        ]
    )


async def inspect(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/{id}/json."""
    container = await find(request, context)
    record = context.runtime.inspect(container.id)
    attached, ports = networks(container, context), context.networks.host_ports(container.id)
    engine = container_answers.Engine(context.data_root, context.runtime.name, context.runtime.usual)
    health, execs = context.health(container.task_id), context.runtime.execs.of(container.id)
    return answer(container_answers.inspection(container, record, attached, ports, engine, health, execs))


async def logs(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/{id}/logs."""
    container = await find(request, context)
    stdout, stderr = flag(request, "stdout"), flag(request, "stderr")
    if not stdout and not stderr:
        raise Invalid("Bad parameters: you must choose at least one stream")
    tty = context.runtime.inspect(container.id).spec.container_spec.tty
    lines = context.runtime.logs(
        container.id,
        follow=flag(request, "follow"),
        since=moment(request, "since"),
        until=moment(request, "until"),
        tail=tail(request),
        stdout=stdout,
        stderr=stderr,
        to_exit=True,
    )
    stamped = flag(request, "timestamps")

    async def chunks() -> AsyncIterator[bytes]:
        yield b""  # the answer begins before there is a line
        async with aclosing(closable(lines)) as source:
            async for batch in source:
                texts = [timestamp(line.time).encode() + b" " + line.text if stamped else line.text for line in batch]
                yield b"".join(
                    texts if tty else (frame(line.stream, text) for line, text in zip(batch, texts, strict=True))
                )

    return await send(request, chunks(), _RAW if tty else _MULTIPLEXED)


async def find(request: web.Request, context: HostContext) -> Container:
    """The container of the path: by id, name, or a unique beginning of the id. Raises NotFound or Invalid."""
    text = request.match_info["id"]
    found = await context.runtime.containers()
    for container in found:
        if text in (container.id, container.name, f"/{container.name}"):
            return container
    matches = [container for container in found if text and container.id.startswith(text)]
    if len(matches) > 1:
        raise Invalid(f"Multiple IDs found with provided prefix: {text}")
    if not matches:
        raise NotFound(f"No such container: {text}")
    return matches[0]


def networks(container: Container, context: HostContext) -> dict[str, EndpointSettings]:
    """The networks it is on, by name."""
    found = {}
    for id, address in context.networks.addresses(container.id).items():
        ip, _, length = address.partition("/")
        found[context.network_name(id)] = EndpointSettings(network_id=id, ip_address=ip, ip_prefix_len=int(length or 0))
    return found


def _matches(container: Container, record: Record, wanted: dict[str, set[str]], context: HostContext) -> bool:
    return (
        ("id" not in wanted or any(container.id.startswith(id) for id in wanted["id"]))
        and ("name" not in wanted or any(name.lstrip("/^") in container.name for name in wanted["name"]))
        and label_match(container.labels, wanted.get("label", set()))
        and ("status" not in wanted or container_answers.state(container) in wanted["status"])
        and ("exited" not in wanted or (container.exit is not None and str(container.exit.code) in wanted["exited"]))
        and ("ancestor" not in wanted or _descends(container, wanted["ancestor"], context))
        and ("volume" not in wanted or _mounts(record, wanted["volume"]))
        and ("network" not in wanted or _attached(container, wanted["network"], context))
        and ("is-task" not in wanted or bool(wanted["is-task"] & {"true", "1"}) == bool(container.task_id))
        and ("health" not in wanted or _health(container, context) in wanted["health"])
        and ("publish" not in wanted or bool(_published(container, context) & _ports(wanted["publish"])))
        and ("expose" not in wanted or bool(_exposed(container, context) & _ports(wanted["expose"])))
    )


def _health(container: Container, context: HostContext) -> str:
    return "none" if container.exit else context.health(container.task_id).state.value


def _created(name: str, found: list[Container]) -> float:
    for container in found:
        if name in (container.name, f"/{container.name}") or (name and container.id.startswith(name)):
            return container.created
    raise NotFound(f"No such container: {name}")


def _published(container: Container, context: HostContext) -> set[tuple[int, str]]:
    return {(port.published_port, port.protocol) for port in context.networks.host_ports(container.id)}


def _exposed(container: Container, context: HostContext) -> set[tuple[int, str]]:
    image = context.images.find(container.image_id)
    named = _ports(set(image.exposed_ports)) if image else set()
    return named | {(port.target_port, port.protocol) for port in context.networks.host_ports(container.id)}


def _ports(texts: set[str]) -> set[tuple[int, str]]:
    """Ports of "80", "80/udp" and "8000-8010/tcp". Raises Invalid."""
    found = set()
    for text in texts:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        try:
            least, most = (whole_number(number, "a port", most=65535) for number in (first, last or first))
        except Invalid:
            raise Invalid(f"invalid filter: {text!r} is no port; write 80, 80/udp or 8000-8010/tcp") from None
        found |= {(port, protocol or "tcp") for port in range(least, most + 1)}
    return found


def _descends(container: Container, names: set[str], context: HostContext) -> bool:
    found = (context.images.find(name) for name in names)
    return any(image is not None and image.id == container.image_id for image in found)


def _mounts(record: Record, wanted: set[str]) -> bool:
    return any(use.name in wanted for use in record.volumes) or any(m.target in wanted for m in record.mounts)


def _attached(container: Container, wanted: set[str], context: HostContext) -> bool:
    ids = context.networks.addresses(container.id)
    return any(id in wanted or context.network_name(id) in wanted for id in ids)
