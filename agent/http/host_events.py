"""This host's events: its containers, images and volumes, from the runtime (agent/runtime/runtime_events.py)."""

from __future__ import annotations

from agent.runtime.runtime_events import RuntimeEvents
from api.engine.events import EventAnswer
from api.http.event_stream import event


class HostEvents:
    """A Source for api/http/event_stream.py."""

    def __init__(self, journal: RuntimeEvents) -> None:
        self._journal = journal

    def position(self, since: float) -> int:
        """See Source."""
        return self._journal.since(since) if since else self._journal.last

    def after(self, position: int) -> tuple[list[EventAnswer], int]:
        """See Source."""
        found = self._journal.after(position)
        views = [event(e.time, e.type, e.action, e.id, dict(e.attributes), "local") for e in found]
        return views, self._journal.last

    async def newer(self, position: int) -> None:
        """See Source."""
        await self._journal.newer(position)
