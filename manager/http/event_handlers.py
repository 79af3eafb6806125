"""GET /events: the cluster's events (manager/status/event_log.py) and, if the node provides them, this host's own.

The cluster's are Docker's events of scope swarm, and events of tasks, which Docker does not have (type task, the state
as action). A host that is no manager has its own events only.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.engine.events import EventAnswer
from api.errors import NotManager
from api.http.event_stream import EventSource, event, stream
from kit.timing import Clock, wall_clock
from manager.http.cluster_context import ClusterContext
from manager.status.event_log import ClusterEvent, EventLog


class ClusterEventSource:
    """The event log as an EventSource for api/http/event_stream.py."""

    def __init__(self, ctx: ClusterContext) -> None:
        self._ctx = ctx

    def position(self, since: float) -> int:
        """See EventSource."""
        log = self._ctx.events
        return log.since(since) if since else log.last

    def after(self, position: int) -> tuple[list[EventAnswer], int]:
        """See EventSource."""
        log = self._ctx.events
        return [event_answer(log, one) for one in log.after(position)], log.last

    async def newer(self, position: int) -> None:
        """See EventSource."""
        store, log = self._ctx.store, self._ctx.events
        while log.last <= position:
            await store.wait_newer(store.state.revision)


class EventHandlers:
    """Handler of /events."""

    def __init__(
        self, get: Callable[[], ClusterContext], host: EventSource | None = None, clock: Clock = wall_clock
    ) -> None:
        """`host` has this host's own events; without it a host that is no manager has none."""
        self._get = get
        self._host = host
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /events."""
        sources: list[EventSource] = [self._host] if self._host else []
        clock = self._clock
        try:
            ctx = self._get()
        except NotManager:
            if not sources:
                raise
        else:
            sources.append(ClusterEventSource(ctx))
            clock = ctx.clock
        return await stream(request, sources, clock)


def event_answer(log: EventLog, of: ClusterEvent) -> EventAnswer:
    """An event as the Engine API answers it."""
    attributes = log.attributes(of)
    return event(of.time, of.type, of.action, of.id, attributes, "swarm")
