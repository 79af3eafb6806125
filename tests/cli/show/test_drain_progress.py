"""When a node is drained."""

from __future__ import annotations

from api.engine.services import ServiceAnswer, ServiceStatusAnswer
from api.engine.tasks import TaskAnswer, TaskStatusAnswer
from api.service import service_spec
from cli.show.drain_progress import DrainProgress, progress
from tests.cli.answers import a_service, a_task


def service(running: int, wanted: int) -> ServiceAnswer:
    return a_service("s", service_spec.ServiceSpec(name="web"), service_status=ServiceStatusAnswer(running, wanted))


def task(state: str, err: str = "", desired: str = "shutdown") -> TaskAnswer:
    return a_task("t", TaskStatusAnswer(state=state, err=err), desired_state=desired)


def test_a_node_is_drained_when_nothing_runs_on_it_and_all_runs_elsewhere() -> None:
    assert progress([task("shutdown")], [service(2, 2)], []).is_done
    assert progress([], [], []).is_done
    assert progress([task("pending")], [], []).is_done


def test_tasks_that_stop_are_waited_for() -> None:
    found = progress([task("running"), task("starting"), task("failed")], [service(2, 2)], [])
    assert (found.is_done, str(found)) == (False, "2 tasks still on it")


def test_replacements_are_waited_for_and_what_keeps_them_is_told() -> None:
    found = progress([task("shutdown")], [service(1, 2)], [task("pending", "no suitable node (x)")])
    assert found == DrainProgress(0, ("web has 1 of 2 tasks running (no suitable node (x))",))
