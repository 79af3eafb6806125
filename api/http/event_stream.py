"""GET /events over any number of event sources: the cluster's on managers, the host's own on every host.

A source is read by position, so a reader gets every event that is still in the source, and none twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import web

from api.codec import encode
from api.engine.events import ActorAnswer, EventAnswer
from api.http.query import filters, label_match, moment
from kit.timing import Clock

FILTERS = frozenset({
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "task", "type", "volume",
})  # fmt: skip
LOOK_UP = 5.0
"""Seconds between checks whether the client is still connected."""


class EventSource(Protocol):
    """Where events come from; they have positions in the order in which they happened."""

    def position(self, since: float) -> int:
        """The position before everything not older than `since` (Unix seconds); of the newest event for 0."""
        ...

    def after(self, position: int) -> tuple[list[EventAnswer], int]:
        """The events after a position, oldest first, and the position of the last one."""
        ...

    async def newer(self, position: int) -> None:
        """Wait until there may be an event after the position."""
        ...


def event(time: float, kind: str, action: str, id: str, attributes: dict[str, str], scope: str) -> EventAnswer:
    """An event as the Engine API answers it; with the fields for old clients if it is about a container or image."""
    has_old_fields = kind in ("container", "image")
    return EventAnswer(
        type=kind,
        action=action,
        actor=ActorAnswer(id, attributes),
        scope=scope,
        time=int(time),
        time_nano=int(time * 1e9),
        status=action if has_old_fields else "",
        id=id if has_old_fields else "",
        from_=attributes.get("image", "") if kind == "container" else "",
    )


async def stream(request: web.Request, sources: Sequence[EventSource], clock: Clock) -> web.StreamResponse:
    """The answer to GET /events?since=&until=&filters=. Raises Invalid."""
    chosen = filters(request, FILTERS)
    since, until = moment(request, "since"), moment(request, "until") or float("inf")
    places = [source.position(since) for source in sources]
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    # a client that disconnects is no error
    with suppress(ConnectionError):
        while request.transport is not None and not request.transport.is_closing():
            left = until - clock()
            read = [source.after(place) for source, place in zip(sources, places, strict=True)]
            places = [place for _, place in read]
            news = sorted((one for events, _ in read for one in events), key=lambda one: one.time_nano)
            wanted = (one for one in news if one.time_nano <= until * 1e9 and passes(one, chosen))
            if lines := b"".join(encode(one) + b"\n" for one in wanted):
                await response.write(lines)
            if left <= 0:
                break
            waits = [lambda s=source, p=place: s.newer(p) for source, place in zip(sources, places, strict=True)]
            await _any(waits, min(LOOK_UP, left))
        await response.write_eof()
    return response


def passes(event: EventAnswer, chosen: dict[str, set[str]]) -> bool:
    """Whether an event matches at least one value of each filter."""
    return all(_passes_one(event, name, values) for name, values in chosen.items())


def _passes_one(event: EventAnswer, name: str, values: set[str]) -> bool:
    kind, actor = event.type, event.actor
    attributes = actor.attributes
    match name:
        case "type":
            return kind in values
        case "event":
            action = event.action
            return action in values or action.partition(":")[0] in values  # "exec_start: ls", "health_status: healthy"
        case "scope":
            return event.scope in values
        case "label":
            return label_match(attributes, values)
        case "service" | "node" if kind == "task":
            return bool({attributes.get(name), attributes.get(f"{name}.name")} & values)
        case "image" if kind == "container":
            return bool({attributes.get("image", ""), _untagged(attributes.get("image", ""))} & values)
        case "container":
            named = actor.id.startswith(tuple(values)) or attributes.get("name") in values
            return kind == "container" and named
        case _:
            return kind == name and bool({actor.id, attributes.get("name")} & values)


def _untagged(image: str) -> str:
    name = image.partition("@")[0]
    return name[: name.rindex(":")] if ":" in name.rpartition("/")[2] else name


async def _any(waits: Sequence[Callable[[], Any]], seconds: float) -> None:
    """Wait until one of them is done, at most `seconds`."""
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
