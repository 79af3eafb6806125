"""What has happened on this host, for `docker events`: the newest MOST events of containers, images and volumes.

The runtime tells of what it did and saw; nothing depends on it. It begins when the daemon starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kit.event_ring import EventRing
from kit.timing import Clock

MOST = 1024
"""Events kept. Docker keeps 256."""


@dataclass(frozen=True, slots=True)
class HostEvent:
    """One thing that happened. Names of types, actions and attributes are Docker's (moby daemon/events)."""

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

    def tell(self, type: str, action: str, id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Something has happened just now."""
        self.add(HostEvent(self._clock(), type, action, id, attributes or {}))
