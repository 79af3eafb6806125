"""Admission of connections: limits in total and per origin. Pure bookkeeping; no socket is used here.

When all places are taken, a new connection replaces the oldest unidentified one of the origin that holds the most. So a
client that fills its quota from a few addresses cannot keep others out.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import Counter, OrderedDict
from dataclasses import dataclass

from kit.token_buckets import TokenBuckets


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections are allowed."""

    strangers: int
    """Unidentified connections in total."""
    each: int
    """Unidentified connections per origin."""
    known: int
    """Identified connections in total."""
    known_each: int
    """Identified connections per identity."""
    rate: float
    """New connections per second and origin, on average."""
    burst: float
    """New connections of one origin at once."""


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted connection, and the one that must be closed in exchange, if any."""

    id: int
    instead: int | None = None


class ConnectionGate:
    """The admitted connections, unidentified and identified."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ids = itertools.count(1)
        self._fresh = TokenBuckets(limits.rate, limits.burst)
        self._strangers: OrderedDict[int, str] = OrderedDict()
        self._known: dict[int, str] = {}
        self._held: Counter[str] = Counter()
        self._held_known: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def enter(self, origin: str, now: float) -> Admission | None:
        """Admit a connection. None without a free place or when its origin is too fast. `now`: seconds of any clock."""
        limits = self._limits
        if self._held[origin] >= limits.each or not self._fresh.take(origin, now):
            return None
        instead = None
        if len(self._strangers) >= limits.strangers:
            holder, most = max(self._held.items(), key=lambda item: item[1])
            if most <= self._held[origin] + 1:
                return None
            instead = next(id for id, held in self._strangers.items() if held == holder)
            self.leave(instead)
        id = next(self._ids)
        self._strangers[id] = origin
        self._held[origin] += 1
        return Admission(id, instead)

    def identify(self, id: int, name: str) -> bool:
        """Count a connection as `name`'s from now on. False (and it is removed) when that exceeds a limit."""
        self.leave(id)
        if len(self._known) >= self._limits.known or self._held_known[name] >= self._limits.known_each:
            return False
        self._known[id] = name
        self._held_known[name] += 1
        return True

    def leave(self, id: int) -> None:
        """Remove a closed connection. Calling it twice is harmless."""
        for places, held in ((self._strangers, self._held), (self._known, self._held_known)):
            if (name := places.pop(id, None)) is not None:
                held[name] -= 1
                if not held[name]:
                    del held[name]


def origin_of(address: str) -> str:
    """The origin an address counts for: the IPv4 address itself, or the /64 that one IPv6 host has for itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
