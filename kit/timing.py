"""Clocks as parameters, and endless back-off delays."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

Clock = Callable[[], float]
"""Unix seconds."""


def wall_clock() -> float:
    """The time of day. The only place that asks the machine for it."""
    return time.time()  # noqa: TID251


def loop_clock(start: float) -> Clock:
    """A clock that shows `start` now and follows the event loop's clock, so that virtual time advances it."""
    loop = asyncio.get_running_loop()
    offset = start - loop.time()
    return lambda: loop.time() + offset


def backoff(rng: random.Random, first: float = 0.1, most: float = 5.0, factor: float = 2.0) -> Iterator[float]:
    """Endless back-off delays in seconds: growing up to `most`, each random between half and all of its length."""
    full = first
    while True:
        yield full * (0.5 + 0.5 * rng.random())
        full = min(full * factor, most)
