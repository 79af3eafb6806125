"""Events, as GET /events answers them."""

from __future__ import annotations

import msgspec

from api.engine.common import Answer, always


class ActorAnswer(Answer, frozen=True):
    """What an event is about."""

    id: str = always("")
    attributes: dict[str, str] = always({})


class EventAnswer(Answer, frozen=True):
    """One line of GET /events."""

    status: str = msgspec.field(default="", name="status")
    """For clients older than API 1.22, of containers and images: the action."""
    id: str = msgspec.field(default="", name="id")
    """For the same: the actor's id."""
    from_: str = msgspec.field(default="", name="from")
    """For the same, of containers: the image."""
    type: str = always("")
    action: str = always("")
    actor: ActorAnswer = always(ActorAnswer())
    scope: str = msgspec.field(default_factory=str, name="scope")
    """swarm or local."""
    time: int = msgspec.field(default_factory=int, name="time")
    """Unix seconds."""
    time_nano: int = msgspec.field(default_factory=int, name="timeNano")
    """Unix nanoseconds."""
