"""A rate limit for log lines, so that clients cannot fill the disk: a burst per kind of line, then one per second.

Suppressed lines are counted. Used by both loggers: `LogRateLimiter.processor` for structlog's events,
`LogRateLimiter.filter` for the standard library's records.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from kit.token_buckets import TokenBucket, TokenBuckets

RATE = 1.0
"""Lines of one kind per second, on average."""
BURST = 100.0
"""Lines of one kind at once."""
ALL_RATE, ALL_BURST = 50.0, 2000.0
"""The same for all kinds together, because some texts are not constant."""
MOST_KINDS = 4096


class LogRateLimiter:
    """Decides which lines are written. The kind of a line is its constant text; variable parts are in its fields."""

    def __init__(self, rate: float = RATE, burst: float = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = TokenBuckets(rate, burst, MOST_KINDS)
        self._all = TokenBucket(ALL_RATE, ALL_BURST)
        self._dropped: Counter[str] = Counter()
        self._clock = clock

    def admit(self, kind: str) -> int | None:
        """The number of lines of the kind that were suppressed since the last one; None to suppress this one too."""
        now = self._clock()
        if not (self._buckets.take(kind, now) and self._all.take(now)):
            if len(self._dropped) < MOST_KINDS:
                self._dropped[kind] += 1
            return None
        return self._dropped.pop(kind, 0)

    def processor(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A structlog processor."""
        dropped = self.admit(f"{name} {event.get('event', '')}"[:200])
        if dropped is None:
            raise structlog.DropEvent
        if dropped:
            event["left_out"] = dropped
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """A filter for a handler of the standard library."""
        dropped = self.admit(f"{record.name} {record.levelname} {record.msg}"[:200])
        if dropped is None:
            return False
        if dropped:
            record.msg = f"{record.msg} ({dropped} like this were left out)"
        return True
