"""Rate limits for failed joins and for renewals."""

from __future__ import annotations

import pytest

from api.errors import TooMany
from manager.http.cluster.join_attempts import ALL_BURST, DELAY, EACH_BURST, EACH_RATE, RENEW_BURST, JoinAttempts


def test_an_address_that_fails_too_often_waits_and_others_do_not() -> None:
    attempts = JoinAttempts()
    for _ in range(int(EACH_BURST)):
        attempts.check("10.0.0.9", 0.0)
        assert attempts.failed("10.0.0.9", 0.0) == 0.0
    with pytest.raises(TooMany, match=r"10\.0\.0\.9"):
        attempts.check("10.0.0.9", 1.0)
    attempts.check("10.0.0.8", 1.0)
    attempts.check("10.0.0.9", 1.0 / EACH_RATE)


def test_addresses_of_one_ipv6_network_are_one() -> None:
    attempts = JoinAttempts()
    for number in range(int(EACH_BURST)):
        attempts.failed(f"2001:db8::{number:x}", 0.0)
    with pytest.raises(TooMany):
        attempts.check("2001:db8::ffff", 0.0)


def test_many_addresses_only_make_failures_slow() -> None:
    attempts = JoinAttempts()
    delays = [attempts.failed(f"10.0.{number}.1", 0.0) for number in range(int(ALL_BURST) + 3)]
    assert delays[-3:] == [DELAY] * 3
    assert set(delays[:-3]) == {0.0}
    attempts.check("10.9.9.9", 0.0)  # who knows the token does not wait


def test_a_node_does_not_renew_without_end() -> None:
    attempts = JoinAttempts()
    for _ in range(int(RENEW_BURST)):
        attempts.check_renewal("n1", 0.0)
    with pytest.raises(TooMany, match="certificates too often"):
        attempts.check_renewal("n1", 0.0)
    attempts.check_renewal("n2", 0.0)
