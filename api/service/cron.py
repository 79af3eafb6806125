"""Cron expressions: `30 4 * * mon-fri`, with seconds in front if wanted (`*/2 * * * * *`), or `@daily`.

Pure. Times are Unix seconds; a time zone gives the local time that the fields speak of. When clocks change:
- a time that does not exist (clocks go forward) comes at the moment of the change, once;
- a time that comes twice (clocks go back) counts the first time only;
- but with `*` or `*/n` as hours, the hours that there are count: none is put off, and none left out.
Source of the fields: crontab(5). Day and weekday: if both are restricted, either will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import floor
from zoneinfo import ZoneInfo

from api.errors import Invalid
from api.service.schedule import Schedule

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST = timedelta(days=366 * 41)
"""29 February on a given weekday can be forty years away."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one field may hold. Names stand for the numbers from `least` on."""

    name: str
    least: int
    most: int
    names: Sequence[str] = ()


_FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, _MONTHS),
    Field("weekday", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression: which numbers each field allows."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Day and weekday are both restricted."""
    every_hour: bool
    """Hours are * or */n: elapsed time counts, not the clock on the wall."""

    def next_after(self, now: float, zone: ZoneInfo) -> float:
        """The first time after `now` (Unix seconds) that fits; infinity if there is none for years."""
        at, including = float(floor(now)), False
        while True:
            offset = _offset(at, zone)
            local = self._next_local(_local(at, offset), including)
            if local is None:
                return float("inf")
            found = local.replace(tzinfo=UTC).timestamp() - offset
            change = _first_change(at, found, zone)
            if change is not None:
                if not self.every_hour and self._in_gap(change, offset, zone) and change > now:
                    return change
                at, including = change, True
            elif not self.every_hour and datetime.fromtimestamp(found, zone).fold:
                at, including = found, False  # the second time that the clock shows this
            else:
                return found

    def _in_gap(self, change: float, before: float, zone: ZoneInfo) -> bool:
        """Whether a time that fits is left out by clocks going forward."""
        after = _offset(change, zone)
        local = self._next_local(_local(change, before), True) if after > before else None
        return local is not None and local < _local(change, after)

    def _next_local(self, after: datetime, including: bool) -> datetime | None:
        start = after if including else after + timedelta(seconds=1)
        day, end = start.date(), start.date() + _LONGEST
        while day <= end:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._fits_day(day):
                earliest = start.time() if day == start.date() else time()
                if (clock := self._next_clock(earliest)) is not None:
                    return datetime.combine(day, clock)
            day += timedelta(days=1)
        return None

    def _fits_day(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def _next_clock(self, earliest: time) -> time | None:
        for hour in (h for h in self.hours if h >= earliest.hour):
            first = earliest if hour == earliest.hour else time()
            for minute in (m for m in self.minutes if m >= first.minute):
                least = first.second if hour == earliest.hour and minute == first.minute else 0
                for second in (s for s in self.seconds if s >= least):
                    return time(hour, minute, second)
        return None


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """A cron expression. Raises Invalid with a sentence that says what is wrong and where."""
    words = _MACROS.get(text.strip().lower(), text).split()
    if words and words[0].startswith("@"):
        raise Invalid(f"cron expression {text!r}: {words[0]} is none of {', '.join(sorted(_MACROS))}")
    if len(words) not in (5, 6):
        raise Invalid(
            f"cron expression {text!r} has {len(words)} fields; it needs 5 (minute hour day month weekday),"
            " or 6 with seconds first"
        )
    words = words if len(words) == 6 else ["0", *words]
    sets = [_numbers(text, word, field) for word, field in zip(words, _FIELDS, strict=True)]
    seconds, minutes, hours, days, months, weekdays = sets
    cron = Cron(
        tuple(sorted(seconds)), tuple(sorted(minutes)), tuple(sorted(hours)),
        frozenset(days), frozenset(months), frozenset(day % 7 for day in weekdays),
        either_day=not (_is_wild(words[3]) or _is_wild(words[5])),
        every_hour=_is_wild(words[2]),
    )  # fmt: skip
    if cron._next_local(datetime(2000, 1, 1), True) is None:
        raise Invalid(f"cron expression {text!r}: there is no such day in any year")
    return cron


def _numbers(text: str, word: str, field: Field) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if slash and not (step.isascii() and step.isdecimal() and int(step) > 0):
            raise _wrong(text, field, part, "after the / a number from 1 is needed")
        if _is_wild(span) and len(span) == 1:
            low, high = field.least, field.most
        else:
            low = _number(text, first, field)
            high = _number(text, last, field) if dash else field.most if slash else low
        if low > high:
            raise _wrong(text, field, part, "the range ends before it begins")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return found


def _number(text: str, word: str, field: Field) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.least
    if not (word.isascii() and word.isdecimal() and field.least <= int(word) <= field.most):
        raise _wrong(text, field, word, f"a number from {field.least} to {field.most} is needed")
    return int(word)


def _wrong(text: str, field: Field, part: str, why: str) -> Invalid:
    return Invalid(f"cron expression {text!r}: {field.name} {part!r}: {why}")


def _is_wild(word: str) -> bool:
    return word[:1] in ("*", "?")


# ── local time ───────────────────────────────────────────────────────────────────────────────────────────────────


def _offset(at: float, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _local(at: float, offset: float) -> datetime:
    return datetime.fromtimestamp(at + offset, UTC).replace(tzinfo=None)


def _first_change(start: float, end: float, zone: ZoneInfo) -> float | None:
    """The second at which the zone's offset first differs from what it is at `start`, if it does at `end`."""
    before = _offset(start, zone)
    if _offset(end, zone) == before:
        return None
    low, high = int(start), int(end)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return float(high)


def next_after(schedule: Schedule, now: float) -> float:
    """The first time after `now` at which the job is due (Unix seconds); infinity if there is none for years."""
    return _next_after(schedule.cron, schedule.time_zone, now)


@lru_cache(maxsize=4096)
def _next_after(expression: str, time_zone: str, now: float) -> float:
    """Every look at a job asks for the time after the same last run."""
    return parse(expression).next_after(now, zone(time_zone))


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; "" is UTC. Raises Invalid."""
    try:
        return ZoneInfo(name or "UTC")
    except (OSError, ValueError, KeyError):
        raise Invalid(f"time zone {name!r} is not known; it must be an IANA name such as Europe/Berlin") from None
