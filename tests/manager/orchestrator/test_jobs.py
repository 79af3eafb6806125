"""Jobs: tasks that are to complete, so many in all, so many at once."""

from __future__ import annotations

from api.specs import EmptyMode, Mode, ReplicatedJob
from api.states import Availability, TaskState
from tests import make
from tests.manager.world import World


def job(total: int, most: int | None = None) -> Mode:
    return Mode(replicated_job=ReplicatedJob(max_concurrent=most, total_completions=total))


def world(mode: Mode, **fields: object) -> World:
    return World(make.cluster(), make.node("n1"), make.node("n2"), make.service(mode=mode, **fields)).settle()


def complete(w: World, number: int = 1) -> None:
    for task in w.running()[:number]:
        w.tell(task.id, TaskState.COMPLETE)
    w.settle()


def completed(w: World) -> int:
    return sum(1 for task in w.tasks() if w.state.task_state(task) is TaskState.COMPLETE)


def test_no_more_run_at_once_than_allowed() -> None:
    w = world(job(5, 2))
    assert len(w.running()) == 2
    complete(w)
    assert (completed(w), len(w.running())) == (1, 2)


def test_a_job_ends_when_all_have_completed() -> None:
    w = world(job(3, 2))
    for _ in range(5):
        complete(w, 2)
    assert completed(w) == 3
    assert not w.running()
    assert [task.slot for task in w.tasks()] == [1, 2, 3]
    w.wait(1000)
    assert completed(w) == len(w.tasks()) == 3


def test_tasks_of_a_job_are_to_complete() -> None:
    assert world(job(1)).tasks()[0].desired is TaskState.COMPLETE


def test_a_failed_task_is_tried_again() -> None:
    w = world(job(1), restart=make.restart("on-failure", delay=1))
    w.tell(w.running()[0].id, TaskState.FAILED)
    w.wait(2)
    assert len(w.running()) == 1


def test_any_means_on_failure_for_jobs() -> None:
    w = world(job(1), restart=make.restart("any", delay=1))
    complete(w)
    w.wait(100)
    assert completed(w) == len(w.tasks()) == 1


def test_attempts_of_a_job_are_limited() -> None:
    w = world(job(1), restart=make.restart("on-failure", delay=1, attempts=2))
    for _ in range(3):
        w.tell(w.running()[0].id, TaskState.FAILED)
        w.wait(5)
    assert not w.running()


def test_an_update_is_a_new_iteration() -> None:
    w = world(job(2, 2))
    complete(w, 2)
    w.change(mode=job(2, 2))
    w.settle()
    assert [task.job_iteration for task in w.tasks()] == [2, 2]
    assert len(w.running()) == 2


def test_a_completed_task_survives_the_drain_of_its_node() -> None:
    w = world(job(1))
    node = w.running()[0].node_id
    complete(w)
    w.put(make.node(node, availability=Availability.DRAIN))
    w.settle()
    assert completed(w) == len(w.tasks()) == 1


def test_a_global_job_completes_once_on_every_node() -> None:
    w = world(Mode(global_job=EmptyMode()))
    assert [task.node_id for task in w.running()] == ["n1", "n2"]
    complete(w, 2)
    w.wait(100)
    assert completed(w) == len(w.tasks()) == 2
    w.put(make.node("n3"))
    w.settle()
    assert [task.node_id for task in w.running()] == ["n3"]
