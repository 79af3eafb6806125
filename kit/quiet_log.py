"""Logs that nobody outside can fill: of each kind of line so many at once, then one a second; the rest is counted.

Both loggers pass here: structlog's events (`Quiet.processor`) and the standard library's records (`Quiet.filter`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from kit.token_buckets import Bucket, Buckets

RATE = 1.0
"""Lines a second of one kind, in the long run."""
BURST = 100.0
"""Lines of one kind at once."""
ALL_RATE, ALL_BURST = 50.0, 2000.0
"""The same, of all kinds together: for lines whose text is not constant."""
MOST_KINDS = 4096


class Quiet:
    """Decides about lines. A kind of line is its constant text: what varies stands in the fields."""

    def __init__(self, rate: float = RATE, burst: float = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(rate, burst, MOST_KINDS)
        self._all = Bucket(ALL_RATE, ALL_BURST)
        self._dropped: Counter[str] = Counter()
        self._clock = clock

    def admit(self, kind: str) -> int | None:
        """How many lines of the kind were left out since the last one; None when this one is to be left out too."""
        now = self._clock()
        if not (self._buckets.take(kind, now) and self._all.take(now)):
            if len(self._dropped) < MOST_KINDS:
                self._dropped[kind] += 1
            return None
        return self._dropped.pop(kind, 0)

    def processor(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """For structlog."""
        dropped = self.admit(f"{name} {event.get('event', '')}"[:200])
        if dropped is None:
            raise structlog.DropEvent
        if dropped:
            event["left_out"] = dropped
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """For a handler of the standard library."""
        dropped = self.admit(f"{record.name} {record.levelname} {record.msg}"[:200])
        if dropped is None:
            return False
        if dropped:
            record.msg = f"{record.msg} ({dropped} like this were left out)"
        return True
