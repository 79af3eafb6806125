"""GET /events: what happens in the cluster, as it happens, and what has happened since (manager/events.py).

Docker's events of scope swarm; of tasks, which Docker does not have (type task, the state as action); and start and
end of the containers on this manager's own host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from api.codec import encode
from api.http import filters, label_match, moment
from api.states import TaskState
from manager.events import Happening, History
from manager.http.context import ClusterContext
from manager.http.logs import LOOK_UP

FILTERS = frozenset({
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "task", "type", "volume",
})  # fmt: skip


class Events:
    """Handler of /events."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /events."""
        ctx = self._get()
        chosen = filters(request, FILTERS)
        since, until = moment(request, "since"), moment(request, "until") or float("inf")
        history = ctx.events
        place = history.since(since) if since else history.last
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        # a client that goes away is nothing to complain of
        with suppress(ConnectionError):
            while not _gone(request):
                revision, news = ctx.store.state.revision, history.after(place)
                place = history.last
                if lines := _lines(history, news, chosen, until, ctx.node_id):
                    await response.write(lines)
                if (left := until - ctx.clock()) <= 0:
                    break
                if place == history.last:
                    await _newer(ctx, revision, min(LOOK_UP, left))
            await response.write_eof()
        return response


def _lines(history: History, news: list[Happening], chosen: dict[str, set[str]], until: float, own: str) -> bytes:
    """The events that were asked for, one JSON object per line."""
    told = (event for happening in news if happening.time <= until for event in _views(history, happening, own))
    return b"".join(encode(event) + b"\n" for event in told if _passes(event, chosen))


def _views(history: History, happening: Happening, own: str) -> Iterator[dict[str, Any]]:
    """An event; and before that of a task on this manager's own host, the one of its container, as dockerd has it."""
    task, status = happening.task, happening.status
    if task is not None and status is not None and task.node_id == own and status.container_id:
        if status.state is TaskState.RUNNING:
            yield _container_view(history, happening, status.container_id, "start")
        elif status.exit_code is not None and status.state.is_terminal:
            yield _container_view(history, happening, status.container_id, "die")
    yield event_view(history, happening)


def _container_view(history: History, happening: Happening, id: str, action: str) -> dict[str, Any]:
    known = history.attributes(happening)
    attributes = {
        "name": known["name"],
        "image": history.image(happening),
        "com.docker.swarm.service.id": known.get("service", ""),
        "com.docker.swarm.service.name": known.get("service.name", ""),
        "com.docker.swarm.node.id": known.get("node", ""),
        "com.docker.swarm.task.id": happening.id,
    }
    if action == "die":
        attributes["exitCode"] = known.get("exitCode", "")
    view = event_view(history, happening)
    return {
        **view, "Type": "container", "Action": action, "Actor": {"ID": id, "Attributes": attributes}, "scope": "local",
        "status": action, "id": id, "from": attributes["image"],
    }  # fmt: skip


def event_view(history: History, happening: Happening) -> dict[str, Any]:
    """An event as the Engine API shows it."""
    return {
        "Type": happening.type,
        "Action": happening.action,
        "Actor": {"ID": happening.id, "Attributes": history.attributes(happening)},
        "scope": "swarm",
        "time": int(happening.time),
        "timeNano": int(happening.time * 1e9),
    }


def _passes(event: dict[str, Any], chosen: dict[str, set[str]]) -> bool:
    return all(_passes_one(event, name, values) for name, values in chosen.items())


def _passes_one(event: dict[str, Any], name: str, values: set[str]) -> bool:
    kind, actor = event["Type"], event["Actor"]
    attributes = actor["Attributes"]
    match name:
        case "type":
            return kind in values
        case "event":
            return event["Action"] in values
        case "scope":
            return event["scope"] in values
        case "label":
            return label_match(attributes, values)
        case "service" | "node" if kind == "task":
            return bool({attributes.get(name), attributes.get(f"{name}.name")} & values)
        case _:
            return kind == name and bool({actor["ID"], attributes.get("name")} & values)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _newer(ctx: ClusterContext, revision: int, seconds: float) -> None:
    try:
        await asyncio.wait_for(ctx.store.wait_newer(revision), max(seconds, 0.0))
    except TimeoutError:
        pass  # a moment to look whether anybody still listens
