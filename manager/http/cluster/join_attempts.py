"""How often a host may fail to join, and how soon it hears of it. Pure: the caller brings the time.

Whoever has failed too often waits, by address. When too many fail in all, from however many addresses, the answers to
those that fail come later; a right token is never refused because of the guesses of others.
"""

from __future__ import annotations

from api.errors import TooMany
from kit.connection_gate import origin_of
from kit.token_buckets import TokenBucket, TokenBuckets

EACH_RATE, EACH_BURST = 0.1, 10.0
"""Failures of one address: so many a second, and at once."""
ALL_RATE, ALL_BURST = 1.0, 60.0
"""The same of all addresses together."""
DELAY = 2.0
"""Seconds that the answer to a failure waits when there are too many of them in all."""
RENEW_RATE, RENEW_BURST = 1 / 60, 10.0
"""Renewals of one node: so many a second, and at once."""


class JoinAttempts:
    """What has failed lately at one manager."""

    def __init__(self) -> None:
        self._failures = TokenBuckets(EACH_RATE, EACH_BURST)
        self._all = TokenBucket(ALL_RATE, ALL_BURST)
        self._renewals = TokenBuckets(RENEW_RATE, RENEW_BURST)

    def check(self, address: str, now: float) -> None:
        """Raises TooMany for an address that has failed too often."""
        if self._failures.left(origin_of(address), now) < 1:
            raise TooMany(
                f"too many attempts to join from {address} have failed: wait {1 / EACH_RATE:.0f} s, and look at the"
                " token with `docker swarm join-token worker` on a manager"
            )

    def failed(self, address: str, now: float) -> float:
        """Count a failure; returns the seconds that its answer is to wait."""
        self._failures.take(origin_of(address), now)
        return 0.0 if self._all.take(now) else DELAY

    def check_renewal(self, node_id: str, now: float) -> None:
        """Count a node's wish for a new certificate. Raises TooMany."""
        if not self._renewals.take(node_id, now):
            raise TooMany(f"node {node_id} asks for certificates too often: wait {1 / RENEW_RATE:.0f} s")
