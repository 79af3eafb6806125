"""What the command line says of a scheduled job's runs."""

from __future__ import annotations

from api.engine.argosy import RunAnswer, RunsAnswer
from api.service.mode import Mode, ReplicatedJob
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec
from cli.show.run_rows import is_scheduled, next_run, run_lines

NOON = 1_700_000_000.0
AT = "2023-11-14T22:%02d:%02d.000000000Z"
SCHEDULE = Schedule(cron="* * * * *")


def test_when_the_next_run_is_due_is_told_in_a_sentence() -> None:
    about = RunsAnswer(next_at=AT % (15, 0), schedule=SCHEDULE)
    assert next_run(about, NOON) == "the next run is due at 2023-11-14 22:15:00 UTC (in about a minute)"
    assert next_run(RunsAnswer(schedule=SCHEDULE), NOON).startswith("no run is due: its schedule is suspended")
    assert next_run(RunsAnswer(), NOON) == "it has no schedule"


def test_runs_are_listed_with_what_came_of_them() -> None:
    ended = RunAnswer(1, "completed", 1, 1, AT % (11, 0), AT % (11, 1), AT % (11, 31))
    missed = RunAnswer(0, "missed", due_at=AT % (12, 0))
    head, first, second, last = run_lines(RunsAnswer("s", "job", SCHEDULE, AT % (15, 0), [missed, ended]), NOON)
    assert head.split() == ["RUN", "DUE", "STARTED", "TOOK", "OUTCOME", "REVISION"]
    assert first.split() == ["2023-11-14", "22:12:00", "UTC", "missed"]
    assert " ".join(second.split()) == "1 2023-11-14 22:11:00 UTC 2 minutes ago 30 seconds completed 1"
    assert last.startswith("the next run is due at")


def test_only_jobs_with_a_schedule_are_scheduled() -> None:
    job = Mode(replicated_job=ReplicatedJob())
    assert is_scheduled(ServiceSpec("a", mode=job, schedule=Schedule("@daily")))
    assert is_scheduled(ServiceSpec("a", mode=job, labels={"argosy.schedule": "@daily"}))
    assert not is_scheduled(ServiceSpec("a", mode=job))
    assert not is_scheduled(ServiceSpec("a", labels={"argosy.schedule": "@daily"}))
