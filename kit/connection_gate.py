"""Who is let in: connections counted in all and by where they come from. Pure bookkeeping; it touches no socket.

When all places are taken, a newcomer gets one of whoever holds most of them: the oldest that has not shown yet that it
is no stranger. So somebody who holds all he can from a few addresses does not keep others out.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import Counter, OrderedDict
from dataclasses import dataclass

from kit.token_buckets import Buckets


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be."""

    strangers: int
    """Of those who have not shown who they are, in all."""
    each: int
    """Of one origin among them."""
    known: int
    """Of those who have shown who they are, in all."""
    known_each: int
    """Of one of them."""
    rate: float
    """New ones of one origin in a second, in the long run."""
    burst: float
    """The same at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection that was let in, and the one that has to go for it."""

    id: int
    instead: int | None = None


class Gate:
    """The places, and who has them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ids = itertools.count(1)
        self._fresh = Buckets(limits.rate, limits.burst)
        self._strangers: OrderedDict[int, str] = OrderedDict()
        self._known: dict[int, str] = {}
        self._held: Counter[str] = Counter()
        self._held_known: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def enter(self, origin: str, now: float) -> Entry | None:
        """Let one in; None when there is no place for it, or its origin is too fast. `now` in seconds of any clock."""
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
        return Entry(id, instead)

    def know(self, id: int, name: str) -> bool:
        """It has shown that it is `name`, and gives its stranger's place back. False when that one has too many."""
        self.leave(id)
        if len(self._known) >= self._limits.known or self._held_known[name] >= self._limits.known_each:
            return False
        self._known[id] = name
        self._held_known[name] += 1
        return True

    def leave(self, id: int) -> None:
        """It is gone; nothing happens when it was gone already."""
        for places, held in ((self._strangers, self._held), (self._known, self._held_known)):
            if (name := places.pop(id, None)) is not None:
                held[name] -= 1
                if not held[name]:
                    del held[name]


def origin_of(address: str) -> str:
    """What counts as one origin: an IPv4 address, or the /64 that a single IPv6 host has for itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
