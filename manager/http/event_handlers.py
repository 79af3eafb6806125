"""GET /events: what happens in the cluster (event_log.py) and, if the node tells of it, on this manager's host.

Docker's events of scope swarm, and of tasks, which Docker does not have (type task, the state as action). A host that
is no manager tells of itself only.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.engine.events import EventAnswer
from api.errors import NotManager
from api.http.event_stream import Source, event, stream
from kit.timing import Clock, wall_clock
from manager.http.cluster_context import ClusterContext
from manager.status.event_log import Happening, History


class ClusterEvents:
    """A Source for api/http/event_stream.py."""

    def __init__(self, ctx: ClusterContext) -> None:
        self._ctx = ctx

    def position(self, since: float) -> int:
        """See Source."""
        history = self._ctx.events
        return history.since(since) if since else history.last

    def after(self, position: int) -> tuple[list[EventAnswer], int]:
        """See Source."""
        history = self._ctx.events
        return [event_view(history, happening) for happening in history.after(position)], history.last

    async def newer(self, position: int) -> None:
        """See Source."""
        store, history = self._ctx.store, self._ctx.events
        while history.last <= position:
            await store.wait_newer(store.state.revision)


class Events:
    """Handler of /events."""

    def __init__(
        self, get: Callable[[], ClusterContext], host: Source | None = None, clock: Clock = wall_clock
    ) -> None:
        """`host` tells of this host's own events; without it a host that is no manager has none."""
        self._get = get
        self._host = host
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /events."""
        sources: list[Source] = [self._host] if self._host else []
        clock = self._clock
        try:
            ctx = self._get()
        except NotManager:
            if not sources:
                raise
        else:
            sources.append(ClusterEvents(ctx))
            clock = ctx.clock
        return await stream(request, sources, clock)


def event_view(history: History, happening: Happening) -> EventAnswer:
    """An event as the Engine API shows it."""
    attributes = history.attributes(happening)
    return event(happening.time, happening.type, happening.action, happening.id, attributes, "swarm")
