"""How often something may happen: buckets that fill with time and are emptied by use. Pure: callers have the clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Holds `burst` tokens and gets `rate` new ones a second. Full at first."""

    rate: float
    burst: float
    level: float = -1.0
    filled_at: float = 0.0

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take them out, if they are in; `now` in seconds of any clock."""
        self.look(now)
        if self.level < tokens:
            return False
        self.level -= tokens
        return True

    def look(self, now: float) -> float:
        """How many tokens are in it now."""
        if self.level < 0:
            self.level = self.burst
        elif now > self.filled_at:
            self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = max(now, self.filled_at)
        return self.level


class Buckets:
    """A bucket for each key. Of more than `most` the one unused for longest is forgotten, and is full again."""

    def __init__(self, rate: float, burst: float, most: int = 4096) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Take a token out of the key's bucket, if there is one."""
        return self._of(key).take(now)

    def left(self, key: Hashable, now: float) -> float:
        """Tokens in the key's bucket; nothing is taken or made."""
        bucket = self._buckets.get(key)
        return self._burst if bucket is None else bucket.look(now)

    def _of(self, key: Hashable) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, self._burst)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket
