"""Clocks as parameters, and endless back-off delays."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

Clock = Callable[[], float]
"""Unix seconds."""


def wall_clock() -> float:
    """The one place that asks the machine for the time of day."""
    return time.time()  # noqa: TID251


def loop_clock(start: float) -> Clock:
    """A clock that stands at `start` now and runs with the event loop, so that virtual time moves it."""
    loop = asyncio.get_running_loop()
    offset = start - loop.time()
    return lambda: loop.time() + offset


def backoff(rng: random.Random, first: float = 0.1, most: float = 5.0, factor: float = 2.0) -> Iterator[float]:
    """Endless delays in seconds: growing, bounded, each at least half of its full length."""
    full = first
    while True:
        yield full * (0.5 + 0.5 * rng.random())
        full = min(full * factor, most)
