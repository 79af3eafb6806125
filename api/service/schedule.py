"""When scheduled jobs run: the schedule of a service, from its spec or its labels, checked, and its next times.

Labels say the same as `ServiceSpec.schedule`, for tools that know labels only (`deploy.labels` of a compose file):
`argosy.schedule` the cron expression, `argosy.schedule.timezone`, `argosy.schedule.overlap`,
`argosy.schedule.missed-window`, `argosy.schedule.active-deadline`, `argosy.schedule.history` and
`argosy.schedule.suspend`. The spec's own field wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

from api import defaults
from api.errors import Invalid
from api.service import cron
from api.service.service_spec import Schedule, ServiceSpec

LABEL = "argosy.schedule"
OVERLAPS = ("allow", "forbid", "replace")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
_KEYS = ("", ".timezone", ".overlap", ".missed-window", ".active-deadline", ".history", ".suspend")


def schedule_of(spec: ServiceSpec) -> Schedule | None:
    """A service's schedule; None if it has none, or is no job. Raises Invalid for labels that make no sense."""
    if not (spec.mode.replicated_job or spec.mode.global_job):
        return None
    if spec.schedule is not None:
        return spec.schedule if spec.schedule.cron else None
    return of_labels(spec.labels)


def of_labels(labels: Mapping[str, str]) -> Schedule | None:
    """The schedule that labels ask for; None without `argosy.schedule`. Raises Invalid."""
    if not labels.get(LABEL):
        return None
    for key in labels:
        if key.startswith(f"{LABEL}.") and key.removeprefix(LABEL) not in _KEYS:
            raise Invalid(f"label {key} is not known; known are {', '.join(LABEL + one for one in _KEYS)}")
    overlap = labels.get(f"{LABEL}.overlap", "")
    if overlap not in ("", *OVERLAPS):
        raise Invalid(f"label {LABEL}.overlap: {overlap!r} is none of {', '.join(OVERLAPS)}")
    return Schedule(
        cron=labels[LABEL],
        time_zone=labels.get(f"{LABEL}.timezone", ""),
        overlap=overlap,  # type: ignore[arg-type]  # checked above
        missed_window=_duration(labels, f"{LABEL}.missed-window"),
        history=_count(labels, f"{LABEL}.history"),
        suspend=_flag(labels, f"{LABEL}.suspend"),
        active_deadline=_duration(labels, f"{LABEL}.active-deadline"),
    )


def next_after(schedule: Schedule, now: float) -> float:
    """The first time after `now` at which the job is due (Unix seconds); infinity if there is none for years."""
    return _next_after(schedule.cron, schedule.time_zone, now)


@lru_cache(maxsize=4096)
def _next_after(expression: str, time_zone: str, now: float) -> float:
    """Every look at a job asks for the time after the same last run."""
    return cron.parse(expression).next_after(now, zone(time_zone))


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; "" is UTC. Raises Invalid."""
    try:
        return ZoneInfo(name or "UTC")
    except (OSError, ValueError, KeyError):
        raise Invalid(f"time zone {name!r} is not known; it must be an IANA name such as Europe/Berlin") from None


def history(schedule: Schedule) -> int:
    """Runs to keep."""
    return schedule.history if schedule.history is not None else defaults.RUN_HISTORY


def schedule_problems(spec: ServiceSpec) -> Iterator[str]:
    """What is wrong with a service's schedule, each with the path of the field or label."""
    where, schedule = "Schedule", spec.schedule
    is_job = spec.mode.replicated_job or spec.mode.global_job
    if schedule is None:
        where = "Labels"
        try:
            schedule = of_labels(spec.labels)
        except Invalid as error:
            yield f"{where}: {error}"
    if schedule is None:
        return
    if not is_job:
        yield f"{where}: only jobs can have a schedule; set the mode to replicated-job or global-job"
    if spec.mode.global_job and schedule.overlap == "allow":
        yield f"{where}.Overlap: runs of a global job cannot overlap; use forbid or replace"
    yield from _value_problems(where, schedule)


def _value_problems(where: str, schedule: Schedule) -> Iterator[str]:
    for name, check in (("Cron", lambda: cron.parse(schedule.cron)), ("TimeZone", lambda: zone(schedule.time_zone))):
        try:
            check()
        except Invalid as error:
            yield f"{where}.{name}: {error}"
    for name, time in (("MissedWindow", schedule.missed_window), ("ActiveDeadline", schedule.active_deadline)):
        if time is not None and time < defaults.SECOND:
            yield f"{where}.{name}: {time} ns is too short; a second at least is needed"
    if schedule.history is not None and not 1 <= schedule.history <= 1000:
        yield f"{where}.History: {schedule.history} is not from 1 to 1000"


def _duration(labels: Mapping[str, str], key: str) -> int | None:
    text = labels.get(key, "")
    if not text:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Invalid(f"label {key}: {text!r} is no duration such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (hours * 3600 + minutes * 60 + seconds) * defaults.SECOND


def _count(labels: Mapping[str, str], key: str) -> int | None:
    text = labels.get(key, "")
    if text and not (text.isascii() and text.isdecimal()):
        raise Invalid(f"label {key}: {text!r} is no number")
    return int(text) if text else None


def _flag(labels: Mapping[str, str], key: str) -> bool:
    text = labels.get(key, "").lower()
    if text not in _FLAGS:
        raise Invalid(f"label {key}: {text!r} is neither true nor false")
    return _FLAGS[text]
