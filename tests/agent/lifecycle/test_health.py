"""The health machine, as tables."""

from __future__ import annotations

import pytest

from agent.lifecycle.health import Check, Health, HealthState, Probe, after, check_of, complaint, delay
from api.defaults import SECOND
from api.reasons.reason_text import text
from api.service.container import Healthcheck

S, H, U = HealthState.STARTING, HealthState.HEALTHY, HealthState.UNHEALTHY


def test_no_check_when_nobody_asks_for_one_or_none_is_asked_for() -> None:
    image = Healthcheck(test=["CMD", "true"])

    assert check_of(None, None) is None
    assert check_of(Healthcheck(test=["NONE"]), image) is None


def test_defaults_are_dockers() -> None:
    assert check_of(Healthcheck(test=["CMD-SHELL", "curl -f localhost"]), None) == Check(
        ("/bin/sh", "-c", "curl -f localhost"), 30.0, 30.0, 3, 0.0, 5.0
    )


def test_what_the_spec_does_not_say_comes_from_the_image() -> None:
    image = Healthcheck(test=["CMD", "check", "-q"], interval=7 * SECOND, retries=5)

    assert check_of(Healthcheck(retries=2), image) == Check(("check", "-q"), interval=7.0, retries=2)


@pytest.mark.parametrize(
    ("codes", "start_period", "states"),
    [
        ([0], 0, [H]),
        ([1, 1, 1], 0, [S, S, U]),
        ([1, 0, 1, 1, 1], 0, [S, H, H, H, U]),
        ([0, 1, 1, 0, 1, 1, 1], 0, [H, H, H, H, H, H, U]),
        ([1, 1, 1, 1, 1, 1, 1], 35, [S, S, S, S, S, U, U]),  # probes at 10, 20, … : the first three do not count
        ([0, 1, 1, 1], 100, [H, H, H, U]),  # after the first good one the start period is over
        ([1, 1, 1, 0], 0, [S, S, U, H]),
    ],
)
def test_states_follow_the_probes(codes: list[int], start_period: float, states: list[HealthState]) -> None:
    check = Check(("x",), interval=10, start_period=start_period)
    health, seen = Health(S), []
    for number, code in enumerate(codes, 1):
        health = after(check, health, 0.0, Probe(number * 10.0, number * 10.0 + 1, code))
        seen.append(health.state)

    assert seen == states


def test_probes_come_faster_only_while_starting_within_the_start_period() -> None:
    check = Check(("x",), interval=30, start_period=60, start_interval=2)

    assert delay(check, Health(S), 0.0, 59.0) == 2
    assert delay(check, Health(S), 0.0, 60.0) == 30
    assert delay(check, Health(H), 0.0, 10.0) == 30


def test_the_complaint_says_how_the_last_probe_failed() -> None:
    why = complaint(Health(U, 1, (Probe(0, 1, 7),)), 0)
    assert text(why) == "task: unhealthy container: its health check failed once, last with: exit code 7"


def test_only_the_last_probes_are_kept() -> None:
    health = Health(S)
    for number in range(9):
        health = after(Check(("x",), retries=99), health, 0.0, Probe(number, number, 1))

    assert [probe.start for probe in health.log] == [4, 5, 6, 7, 8]
