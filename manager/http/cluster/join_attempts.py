"""Rate limits for failed joins and for renewals. Pure: the caller passes the time.

An address that has failed too often must wait. When there are too many failures in total, from any number of
addresses, answers to failures are delayed; a valid token is never refused because of the guesses of others.
"""

from __future__ import annotations

from api.errors import TooMany
from kit.connection_gate import origin_of
from kit.token_buckets import TokenBucket, TokenBuckets

EACH_RATE, EACH_BURST = 0.1, 10.0
"""Failures of one address: per second, and at once."""
ALL_RATE, ALL_BURST = 1.0, 60.0
"""The same of all addresses together."""
DELAY = 2.0
"""Seconds that the answer to a failure is delayed when there are too many in total."""
RENEW_RATE, RENEW_BURST = 1 / 60, 10.0
"""Renewals of one node: per second, and at once."""


class JoinAttempts:
    """Failed joins and renewals at one manager."""

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
        """Count a failure; returns by how many seconds to delay its answer."""
        self._failures.take(origin_of(address), now)
        return 0.0 if self._all.take(now) else DELAY

    def check_renewal(self, node_id: str, now: float) -> None:
        """Count a node's request to renew. Raises TooMany."""
        if not self._renewals.take(node_id, now):
            raise TooMany(f"node {node_id} asks for certificates too often: wait {1 / RENEW_RATE:.0f} s")
