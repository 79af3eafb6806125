"""Docker's health check as a state machine. Pure: probe results and `now` in, health and the next delay out.

The rules are those of moby daemon/health.go. A container begins as STARTING. A successful probe makes it HEALTHY,
`retries` failed probes in a row make it UNHEALTHY. Failures within the start period do not count until a probe has
succeeded. Durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from api.reasons.reason import Code, Fact, Reason
from api.service.container import Healthcheck

INTERVAL = 30.0
TIMEOUT = 30.0
RETRIES = 3
START_PERIOD = 0.0
START_INTERVAL = 5.0
MAX_OUTPUT = 4096
"""Bytes of a probe's output that are stored."""


class HealthState(Enum):
    """Docker's health states; NONE is a container without a health check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Check:
    """A health check with all defaults filled in."""

    command: tuple[str, ...]
    interval: float = INTERVAL
    timeout: float = TIMEOUT
    retries: int = RETRIES
    start_period: float = START_PERIOD
    start_interval: float = START_INTERVAL


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of one probe. `code` is -1 after a timeout or when the command could not be run."""

    start: float
    end: float
    code: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """A container's health and its newest probes."""

    state: HealthState = HealthState.NONE
    streak: int = 0
    """Failed probes in a row, without those that the start period excuses."""
    log: tuple[Probe, ...] = ()
    """The last five."""


NO_HEALTH = Health()


def check_of(wanted: Healthcheck | None, image: Healthcheck | None) -> Check | None:
    """The effective check: the spec's, with the image's value for each unset field. None if there is no command."""
    merged = _merge(wanted or Healthcheck(), image or Healthcheck())
    command = _command(merged.test)
    if not command:
        return None
    return Check(
        command,
        interval=merged.interval_seconds or INTERVAL,
        timeout=merged.timeout_seconds or TIMEOUT,
        retries=merged.retries or RETRIES,
        start_period=merged.start_period_seconds or START_PERIOD,
        start_interval=merged.start_interval_seconds or START_INTERVAL,
    )


def after(check: Check, health: Health, started: float, probe: Probe) -> Health:
    """The health after a probe. `started` is the container's start time."""
    log = (*health.log[-4:], probe)
    if probe.code == 0:
        return Health(HealthState.HEALTHY, 0, log)
    if health.state is HealthState.STARTING and probe.start - started < check.start_period:
        return replace(health, log=log)
    streak = health.streak + 1
    return Health(HealthState.UNHEALTHY if streak >= check.retries else health.state, streak, log)


def delay(check: Check, health: Health, started: float, now: float) -> float:
    """Seconds from `now` until the next probe."""
    if health.state is HealthState.STARTING and now - started < check.start_period:
        return check.start_interval
    return check.interval


def complaint(health: Health, exit_code: int) -> Reason:
    """The reason why a task with an unhealthy container failed; `exit_code` is the container's."""
    facts: dict[str, Fact] = {"failures": health.streak, "exit_code": exit_code}
    if health.log:
        last = health.log[-1]
        words = last.output.strip().splitlines()
        facts |= {"text": words[-1][:200]} if words else {"probe_code": last.code}
    return Reason(Code.UNHEALTHY, facts)


def _merge(wanted: Healthcheck, image: Healthcheck) -> Healthcheck:
    return Healthcheck(
        test=wanted.test or image.test,
        interval=wanted.interval or image.interval,
        timeout=wanted.timeout or image.timeout,
        retries=wanted.retries or image.retries,
        start_period=wanted.start_period or image.start_period,
        start_interval=wanted.start_interval or image.start_interval,
    )


def _command(test: list[str]) -> tuple[str, ...]:
    match test:
        case ["CMD-SHELL", *words]:
            return ("/bin/sh", "-c", " ".join(words)) if words else ()
        case ["CMD", *words]:
            return tuple(words)
    return ()
