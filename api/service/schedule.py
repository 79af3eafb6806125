"""When a scheduled job runs. The next times are computed in api/service/cron.py.

Labels can stand in for `ServiceSpec.schedule`, for tools that know labels only (`deploy.labels` of a compose file):
`argosy.schedule` the cron expression, `argosy.schedule.timezone`, `argosy.schedule.overlap`,
`argosy.schedule.missed-window`, `argosy.schedule.active-deadline`, `argosy.schedule.history` and
`argosy.schedule.suspend`. The spec's own field wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Literal

from api import defaults
from api.codec import Value
from api.errors import Invalid

LABEL = "argosy.schedule"
OVERLAPS = ("allow", "forbid", "replace")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
_KEYS = ("", ".timezone", ".overlap", ".missed-window", ".active-deadline", ".history", ".suspend")


class Schedule(Value, frozen=True):
    """When a job is run again. A job with a schedule runs when it is due, not when it is deployed."""

    cron: str = ""
    """Five fields (minute hour day month weekday), six with seconds first, or @daily and the like."""
    time_zone: str = ""
    """IANA name ("Europe/Berlin"); "" is UTC."""
    overlap: Literal["", "allow", "forbid", "replace"] = ""
    """What to do when the previous run still runs: start another beside it (allow), wait until it ends (forbid, the
    default), or stop it (replace)."""
    missed_window: int | None = None
    """How late a run may start, in nanoseconds. None: until the next one is due, but at least a minute."""
    history: int | None = None
    """Runs kept in the service's history."""
    suspend: bool = False
    """While this is set, runs that come due are skipped."""
    active_deadline: int | None = None
    """Nanoseconds after which a run has failed and its tasks are stopped. None: no limit."""

    @property
    def kept_runs(self) -> int:
        """How many runs are kept in the service's history."""
        return defaults.RUN_HISTORY if self.history is None else self.history

    @property
    def late_seconds(self) -> float | None:
        """How long a run may be late; None: until the next one is due, and RUN_LATENESS at least."""
        return None if self.missed_window is None else self.missed_window / defaults.SECOND

    @property
    def active_seconds(self) -> float:
        """How long a run may take; infinity for no limit."""
        return inf if self.active_deadline is None else self.active_deadline / defaults.SECOND


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
