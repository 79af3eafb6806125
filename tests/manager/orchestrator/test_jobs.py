"""Jobs: tasks that are to complete, so many in all, so many at once."""

from __future__ import annotations

import pytest

from api.service.mode import EmptyMode, Mode, ReplicatedJob
from api.states import Availability, NodeState, TaskState
from tests import make
from tests.manager.world import World

ALL_NODES = Mode(global_job=EmptyMode())


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


@pytest.mark.parametrize("mode", [job(2, 2), ALL_NODES], ids=["replicated", "global"])
def test_a_failed_task_is_tried_again_after_the_delay(mode: Mode) -> None:
    w = world(mode, restart=make.restart("on-failure", delay=10))
    failed, other = w.running()
    w.tell(failed.id, TaskState.FAILED)
    w.wait(9)
    assert w.running() == [other], "and its slot is nobody else's"
    w.wait(2)
    assert [task.slot for task in w.running()] == [failed.slot, other.slot]
    if mode is ALL_NODES:
        assert [task.node_id for task in w.running()] == [failed.node_id, other.node_id]


@pytest.mark.parametrize("mode", [job(1), ALL_NODES], ids=["replicated", "global"])
def test_a_job_whose_condition_is_none_is_never_tried_again(mode: Mode) -> None:
    w = world(mode, restart=make.restart("none"))
    for task in w.running():
        w.tell(task.id, TaskState.FAILED)
    w.wait(1000)
    assert not w.running()


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
    w = world(job(3, 2))
    complete(w, 1)
    assert (completed(w), len(w.running())) == (1, 2)
    w.change(mode=job(3, 2))
    w.decide()
    assert {task.desired for task in w.tasks() if task.job_iteration == 1} <= {TaskState.REMOVE, TaskState.SHUTDOWN}
    up = [task.slot for task in w.tasks() if w.state.task_state(task) is TaskState.RUNNING]
    new = [task.slot for task in w.going()]
    assert not set(up) & set(new), "a slot is used again only when what ran in it has ended"
    w.settle()
    assert [task.job_iteration for task in w.tasks()] == [2, 2]
    assert len(w.running()) == 2
    for _ in range(3):
        complete(w, 2)
    assert [(task.slot, task.job_iteration) for task in w.tasks()] == [(1, 2), (2, 2), (3, 2)]
    assert completed(w) == 3


def test_the_slot_of_a_task_that_leaves_a_drained_node_is_used_again_when_it_has_ended() -> None:
    w = world(job(2, 2))
    left = next(task for task in w.running() if task.node_id == "n1")
    w.put(make.node("n1", availability=Availability.DRAIN))
    w.decide()
    assert w.state.tasks[left.id].desired is TaskState.SHUTDOWN
    assert left.slot not in {task.slot for task in w.going()}
    w.settle()
    assert sorted(task.slot for task in w.running()) == [1, 2]
    assert {task.node_id for task in w.running()} == {"n2"}
    complete(w, 2)
    assert completed(w) == 2


def test_a_completed_task_survives_the_drain_of_its_node() -> None:
    w = world(job(1))
    node = w.running()[0].node_id
    complete(w)
    w.put(make.node(node, availability=Availability.DRAIN))
    w.settle()
    assert completed(w) == len(w.tasks()) == 1


def test_a_completed_task_survives_a_change_of_its_node_s_labels() -> None:
    w = World(
        make.cluster(), make.node("n1", labels={"disk": "ssd"}),
        make.service(mode=job(1), constraints=["node.labels.disk == ssd"]),
    ).settle()  # fmt: skip
    complete(w)
    w.put(make.node("n1"))
    w.wait(100)
    assert completed(w) == len(w.tasks()) == 1
    assert w.tasks()[0].desired is TaskState.COMPLETE


def test_a_global_job_is_for_nodes_that_match_and_take_tasks_and_leaves_a_drained_one() -> None:
    w = World(
        make.cluster(), make.node("n1", labels={"a": "b"}), make.node("n2", labels={"a": "b"}), make.node("n3"),
        make.node("n4", labels={"a": "b"}, availability=Availability.PAUSE),
        make.node("n5", labels={"a": "b"}, availability=Availability.DRAIN),
        make.node("n6", NodeState.DOWN, labels={"a": "b"}),
        make.service(mode=ALL_NODES, constraints=["node.labels.a == b"]),
    ).settle()  # fmt: skip
    assert [task.node_id for task in w.running()] == ["n1", "n2"]
    w.put(make.node("n2", labels={"a": "b"}, availability=Availability.DRAIN))
    w.decide()
    assert [task.desired for task in w.tasks() if task.node_id == "n2"] == [TaskState.SHUTDOWN]
    w.settle()
    assert [task.node_id for task in w.running()] == ["n1"]


def test_a_global_job_completes_once_on_every_node() -> None:
    w = world(ALL_NODES)
    assert [task.node_id for task in w.running()] == ["n1", "n2"]
    complete(w, 2)
    w.wait(100)
    assert completed(w) == len(w.tasks()) == 2
    w.put(make.node("n3"))
    w.settle()
    assert [task.node_id for task in w.running()] == ["n3"]
