"""When scheduled jobs are due: cron expressions, time zones, clocks that change, labels, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import cronsim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Invalid
from api.service import cron, schedule
from api.service.container import ContainerSpec
from api.service.mode import EmptyMode, Mode, ReplicatedJob
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec, TaskSpec
from api.service.service_validation import service_problems

JOB = Mode(replicated_job=ReplicatedJob())


def next_times(text: str, start: str, number: int = 3, zone: str = "UTC") -> list[str]:
    """The next times in local time, with the offset."""
    place = ZoneInfo(zone)
    at, found = datetime.fromisoformat(start).timestamp(), []
    for _ in range(number):
        at = cron.parse(text).next_after(at, place)
        found.append(datetime.fromtimestamp(at, place).isoformat())
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 * * * *", ["2026-01-01T00:15:00", "2026-01-01T00:30:00", "2026-01-01T00:45:00"]),
        ("0 4 * * *", ["2026-01-01T04:00:00", "2026-01-02T04:00:00", "2026-01-03T04:00:00"]),
        ("*/2 * * * * *", ["2026-01-01T00:00:02", "2026-01-01T00:00:04", "2026-01-01T00:00:06"]),
        ("30 5,17 1-2 feb *", ["2026-02-01T05:30:00", "2026-02-01T17:30:00", "2026-02-02T05:30:00"]),
        ("0 9 * * mon-fri", ["2026-01-01T09:00:00", "2026-01-02T09:00:00", "2026-01-05T09:00:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00:00", "2026-01-11T00:00:00", "2026-01-18T00:00:00"]),
        ("0 0 13 * fri", ["2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        ("0 0 */31 3 sun", ["2026-03-01T00:00:00", "2037-03-01T00:00:00", "2043-03-01T00:00:00"]),
        ("5/20 0 * * *", ["2026-01-01T00:05:00", "2026-01-01T00:25:00", "2026-01-01T00:45:00"]),
        ("@hourly", ["2026-01-01T01:00:00", "2026-01-01T02:00:00", "2026-01-01T03:00:00"]),
        ("@daily", ["2026-01-02T00:00:00", "2026-01-03T00:00:00", "2026-01-04T00:00:00"]),
        ("@weekly", ["2026-01-04T00:00:00", "2026-01-11T00:00:00", "2026-01-18T00:00:00"]),
        ("@monthly", ["2026-02-01T00:00:00", "2026-03-01T00:00:00", "2026-04-01T00:00:00"]),
        ("@yearly", ["2027-01-01T00:00:00", "2028-01-01T00:00:00", "2029-01-01T00:00:00"]),
    ],
)
def test_next_times(text: str, expected: list[str]) -> None:
    assert [at.removesuffix("+00:00") for at in next_times(text, "2026-01-01T00:00:00+00:00")] == expected


def _numbers(least: int, most: int, names: str = "") -> st.SearchStrategy[str]:
    """What one field of an expression may hold."""
    number = st.integers(least, most)
    span = st.tuples(number, number).filter(lambda ends: ends[0] < ends[1])
    one = st.one_of(
        number.map(str),
        st.sampled_from(names.split() or ["*"]),
        st.integers(1, 40).map("*/{}".format),
        span.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(span, st.integers(1, 9)).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
    )
    return st.one_of(st.just("*"), st.lists(one, min_size=1, max_size=3).map(",".join))


@given(
    st.one_of(st.just(()), st.tuples(_numbers(0, 59))),
    st.tuples(
        _numbers(0, 59), _numbers(0, 23), _numbers(1, 31), _numbers(1, 12, "jan FEB Dec"), _numbers(0, 7, "sun MON")
    ),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
)
def test_where_clocks_do_not_change_times_are_those_of_another_implementation(
    seconds: tuple[str, ...], fields: tuple[str, ...], start: datetime
) -> None:
    text, after = " ".join((*seconds, *fields)), start.replace(microsecond=0, tzinfo=UTC)
    try:
        expected = next(cronsim.CronSim(text, after)).timestamp()
    except (cronsim.CronSimError, StopIteration):
        with pytest.raises(Invalid, match="there is no such day in any year"):
            cron.parse(text)
        return

    assert cron.parse(text).next_after(after.timestamp(), ZoneInfo("UTC")) == expected


def test_a_time_that_does_not_exist_comes_when_the_clocks_go_forward_and_once_only() -> None:
    found = next_times("15,30 2 * * *", "2026-03-28T12:00:00+01:00", 4, "Europe/Berlin")
    assert found == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:15:00+02:00",
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:15:00+02:00",
    ]


def test_a_time_that_comes_twice_counts_the_first_time() -> None:
    found = next_times("30 2 * * *", "2026-10-24T12:00:00+02:00", 2, "Europe/Berlin")
    assert found == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_what_comes_every_hour_comes_every_hour_when_clocks_change() -> None:
    back = next_times("0 * * * *", "2026-10-25T00:30:00+02:00", 4, "Europe/Berlin")
    assert back == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    forward = next_times("0 * * * *", "2026-03-29T00:30:00+01:00", 3, "Europe/Berlin")
    assert forward == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("text", ["*/20 * * * *", "45 1,2 * * *", "0 0 * * 0", "10 * 28-31 * *"])
def test_times_only_ever_grow_over_a_year(zone: str, text: str) -> None:
    at, one = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp(), cron.parse(text)
    for _ in range(800):
        following = one.next_after(at, ZoneInfo(zone))
        assert following > at
        assert one.next_after(following - 0.5, ZoneInfo(zone)) == following
        at = following


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("* * *", "has 3 fields"),
        ("60 * * * *", "minute '60': a number from 0 to 59 is needed"),
        ("* * * * mondays", "weekday 'mondays': a number from 0 to 7"),
        ("5-2 * * * *", "the range ends before it begins"),
        ("*/0 * * * *", "after the / a number from 1 is needed"),
        ("0 0 31 2 *", "there is no such day in any year"),
        ("@sometimes", "@sometimes is none of @annually"),
        ("", "has 0 fields"),
    ],
)
def test_what_is_no_cron_expression_is_refused_with_a_sentence(text: str, told: str) -> None:
    with pytest.raises(Invalid, match="cron expression") as error:
        cron.parse(text)
    assert told in str(error.value)


def spec(mode: Mode = JOB, schedule: Schedule | None = None) -> ServiceSpec:
    return ServiceSpec("job", {}, TaskSpec(ContainerSpec(image="job:1")), mode, schedule=schedule)


def test_labels_say_what_the_field_says() -> None:
    found = schedule.of_labels(
        {
            "argosy.schedule": "@daily",
            "argosy.schedule.timezone": "Europe/Berlin",
            "argosy.schedule.overlap": "replace",
            "argosy.schedule.missed-window": "1h30m",
            "argosy.schedule.active-deadline": "2m",
            "argosy.schedule.history": "5",
            "argosy.schedule.suspend": "true",
        }
    )
    assert found == Schedule("@daily", "Europe/Berlin", "replace", 5_400_000_000_000, 5, True, 120_000_000_000)


def test_the_field_wins_over_labels() -> None:
    both = ServiceSpec(mode=JOB, labels={"argosy.schedule": "@daily"}, schedule=Schedule("@hourly"))
    assert both.job_schedule() == Schedule("@hourly")


def test_problems_are_told_with_their_paths() -> None:
    def problems(**fields: object) -> str:
        wanted = {"cron": "@daily", **fields}
        return " / ".join(service_problems(spec(schedule=Schedule(**wanted))))  # type: ignore[arg-type]

    assert problems() == ""
    assert problems(cron="x").startswith("Schedule.Cron: cron expression 'x'")
    assert problems(time_zone="Mars/Olympus").startswith("Schedule.TimeZone: time zone 'Mars/Olympus' is not known")
    assert problems(missed_window=5).startswith("Schedule.MissedWindow: 5 ns is too short")
    assert problems(active_deadline=0) == "Schedule.ActiveDeadline: 0 ns is too short; a second at least is needed"
    assert problems(history=0) == "Schedule.History: 0 is not from 1 to 1000"


def test_only_jobs_can_have_a_schedule() -> None:
    plain = service_problems(ServiceSpec("web", {}, TaskSpec(ContainerSpec(image="a")), schedule=Schedule("@daily")))
    assert plain == ["Schedule: only jobs can have a schedule; set the mode to replicated-job or global-job"]
    nodes = spec(Mode(global_job=EmptyMode()), Schedule("@daily", overlap="allow"))
    assert service_problems(nodes) == ["Schedule.Overlap: runs of a global job cannot overlap; use forbid or replace"]


@pytest.mark.parametrize(
    "labels",
    [{".overlap": "maybe"}, {".missed-window": "soon"}, {".active-deadline": "1"}, {".history": "x"}, {".zone": ""}],
)
def test_labels_that_make_no_sense_are_told(labels: dict[str, str]) -> None:
    named = {"argosy.schedule": "@daily"} | {f"argosy.schedule{key}": value for key, value in labels.items()}
    found = service_problems(ServiceSpec("job", named, TaskSpec(ContainerSpec(image="a")), JOB))
    assert len(found) == 1
    assert found[0].startswith(f"Labels: label argosy.schedule{next(iter(labels))}")
