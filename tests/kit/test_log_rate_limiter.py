"""The rate limit for log lines."""

from __future__ import annotations

import logging

import pytest
import structlog

from kit.log_rate_limiter import ALL_BURST, LogRateLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_of_one_kind_are_suppressed_and_counted() -> None:
    clock = Clock()
    quiet = LogRateLimiter(rate=1.0, burst=2.0, clock=clock)
    assert [quiet.admit("a") for _ in range(5)] == [0, 0, None, None, None]
    assert quiet.admit("b") == 0
    clock.now = 1.0
    assert quiet.admit("a") == 3


def test_lines_that_all_differ_are_limited_too() -> None:
    quiet = LogRateLimiter(clock=Clock())
    admitted = sum(quiet.admit(f"line {number}") is not None for number in range(10_000))
    assert admitted == ALL_BURST


def test_both_loggers_are_limited() -> None:
    quiet = LogRateLimiter(rate=0.001, burst=1.0, clock=Clock())
    assert quiet.processor(None, "info", {"event": "x"}) == {"event": "x"}
    with pytest.raises(structlog.DropEvent):
        quiet.processor(None, "info", {"event": "x", "address": "other"})
    record = logging.LogRecord("aiohttp", logging.ERROR, "", 0, "bad from %s", ("a",), None)
    assert quiet.filter(record)
    assert not quiet.filter(record)
