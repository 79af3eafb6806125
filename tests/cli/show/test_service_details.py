"""`service inspect --pretty`."""

from __future__ import annotations

from api.engine.services import UpdateStatusAnswer
from api.service.schedule import Schedule
from cli.show.service_details import lines
from tests import make
from tests.cli.answers import a_service

NOW = 1_700_000_000.0


def test_why_an_update_is_paused_is_told() -> None:
    why = "update paused due to failure or early termination of task t1: task: non-zero exit (3)"
    status = UpdateStatusAnswer("paused", "2023-11-14T22:11:20.000000000Z", message=why)
    spec = make.spec("web", replicas=3, ports=[make.port(8080)], update=make.update(2, 5, "pause"))
    told = list(lines(a_service("s1", spec, update_status=status), NOW))
    at = told.index("UpdateStatus:")
    assert told[at + 1 : at + 4] == [
        " State:         paused",
        " Started:       2 minutes ago",
        f" Message:       {why}",
    ]
    assert " Replicas:      3" in told
    assert " Parallelism:   2" in told
    assert " Port:          8080 → 80/tcp (ingress)" in told


def test_jobs_tell_their_schedule_and_services_without_an_update_say_nothing_of_one() -> None:
    told = list(lines(a_service("s1", make.spec("tidy", mode=make.job_mode(4, 2))), NOW))
    assert " Total Completions: 4" in told
    nightly = Schedule("@daily", active_deadline=5400 * make.SECOND)
    spec = make.spec("tidy", mode=make.job_mode(4, 2), schedule=nightly)
    assert " Active deadline: 1h30m" in list(lines(a_service("s1", spec), NOW))
    assert "UpdateStatus:" not in told
