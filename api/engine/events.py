"""Events: the lines of GET /events."""

from __future__ import annotations

import msgspec

from api.engine.common import Answer, always


class ActorAnswer(Answer, frozen=True):
    """The object that an event is about."""

    id: str = always("")
    attributes: dict[str, str] = always({})


class EventAnswer(Answer, frozen=True):
    """One line of GET /events."""

    status: str = msgspec.field(default="", name="status")
    """The action, in events of containers and images: for clients older than API 1.22."""
    id: str = msgspec.field(default="", name="id")
    """The actor's id, in the same events and for the same clients."""
    from_: str = msgspec.field(default="", name="from")
    """The image, in events of containers, for the same clients."""
    type: str = always("")
    action: str = always("")
    actor: ActorAnswer = always(ActorAnswer())
    scope: str = msgspec.field(default_factory=str, name="scope")
    """swarm or local."""
    time: int = msgspec.field(default_factory=int, name="time")
    """Unix seconds."""
    time_nano: int = msgspec.field(default_factory=int, name="timeNano")
    """Unix nanoseconds."""
