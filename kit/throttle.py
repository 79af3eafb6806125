"""A throttle: how long to wait so that a rate is kept. Pure."""

from __future__ import annotations

MOST_DEBT = 1.0
"""Seconds: the longest wait that `take` returns, however much was used."""


class Throttle:
    """`rate` units per second, and up to `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> float:
        """Use `amount` units. Returns the seconds to wait before using them. `now`: seconds of any monotonic clock."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left = max(self._left - amount, -MOST_DEBT * self._rate)
        return max(0.0, -self._left / self._rate)
