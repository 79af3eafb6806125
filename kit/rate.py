"""How much of something may pass in a time: a bucket that fills at a steady rate. Pure."""

from __future__ import annotations

MOST_DEBT = 1.0
"""Seconds: whoever has used too much is held up by no more than this at a time."""


class Allowance:
    """`rate` units per second, and up to `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> float:
        """Use some (`now` in seconds of any steady clock); returns the seconds to wait until it is there."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left = max(self._left - amount, -MOST_DEBT * self._rate)
        return max(0.0, -self._left / self._rate)
