"""Token buckets, which limit how often something may happen. Pure: the caller passes the time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Holds up to `burst` tokens and gains `rate` tokens per second. Full at first."""

    rate: float
    burst: float
    level: float = -1.0
    filled_at: float = 0.0

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Remove the tokens if there are enough. Returns whether there were. `now`: seconds of any clock."""
        self.refill(now)
        if self.level < tokens:
            return False
        self.level -= tokens
        return True

    def refill(self, now: float) -> float:
        """Add the tokens gained since the last call. Returns the number of tokens."""
        if self.level < 0:
            self.level = self.burst
        elif now > self.filled_at:
            self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = max(now, self.filled_at)
        return self.level


class TokenBuckets:
    """One bucket per key. Beyond `most` keys, the least recently used is dropped, which makes it full again."""

    def __init__(self, rate: float, burst: float, most: int = 4096) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Take one token of the key's bucket. Returns whether there was one."""
        return self._of(key).take(now)

    def left(self, key: Hashable, now: float) -> float:
        """The number of tokens in the key's bucket. Takes none and creates no bucket."""
        bucket = self._buckets.get(key)
        return self._burst if bucket is None else bucket.refill(now)

    def _of(self, key: Hashable) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket
