"""The runtime's events of containers, images and volumes on this host, for `docker events`: the newest MOST.

They begin when the daemon starts. Nothing else depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kit.event_ring import EventRing
from kit.timing import Clock

MOST = 1024
"""Events stored. Docker stores 256."""


@dataclass(frozen=True, slots=True)
class HostEvent:
    """One event. Names of types, actions and attributes are Docker's (moby daemon/events)."""

    time: float
    type: str
    action: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class RuntimeEvents(EventRing[HostEvent]):
    """The newest events of this host."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(MOST)
        self._clock = clock

    def publish(self, type: str, action: str, id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Add an event that has happened just now."""
        self.add(HostEvent(self._clock(), type, action, id, attributes or {}))
