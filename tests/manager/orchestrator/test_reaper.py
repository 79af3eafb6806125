"""What is deleted and what is kept: by what is wanted of a task and where it is."""

from __future__ import annotations

import pytest

from api.states import TaskState
from tests import make
from tests.manager.world import World

ENDED = (TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED, TaskState.REJECTED)
ALIVE = (TaskState.ASSIGNED, TaskState.PREPARING, TaskState.RUNNING)


def world(desired: TaskState, actual: TaskState, history: int = 5) -> World:
    """A service of one replica whose slot 1 runs, with a second task in that state."""
    told = actual if actual > TaskState.ASSIGNED else None
    return World(
        make.cluster(task_history=history), make.node("n1"),
        *make.decided_service(replicas=1),
        make.task("now", node_id="n1", state=TaskState.ASSIGNED, created_at=10.0), make.status("now"),
        make.task(
            "then", node_id="n1" if actual >= TaskState.ASSIGNED else "",
            state=min(actual, TaskState.ASSIGNED), desired=desired, created_at=5.0,
        ),
        *([make.status("then", told)] if told else []),
    )  # fmt: skip


@pytest.mark.parametrize("actual", [*ENDED, TaskState.NEW, TaskState.PENDING])
def test_what_is_to_be_removed_and_has_ended_or_never_began_is_deleted(actual: TaskState) -> None:
    w = world(TaskState.REMOVE, actual)
    w.decide()
    assert "then" not in w.state.tasks
    assert "then" not in w.state.statuses


@pytest.mark.parametrize("actual", ALIVE)
def test_what_is_to_be_removed_and_lives_is_kept_until_its_agent_says_that_it_ended(actual: TaskState) -> None:
    w = world(TaskState.REMOVE, actual)
    w.decide()
    assert "then" in w.state.tasks
    w.settle()
    assert "then" not in w.state.tasks


@pytest.mark.parametrize("actual", [*ENDED, *ALIVE])
def test_history_within_the_limit_is_kept(actual: TaskState) -> None:
    w = world(TaskState.SHUTDOWN, actual)
    w.decide()
    assert "then" in w.state.tasks


@pytest.mark.parametrize("actual", [*ENDED, TaskState.PENDING])
def test_history_beyond_the_limit_is_deleted(actual: TaskState) -> None:
    w = world(TaskState.SHUTDOWN, actual, history=1)
    w.decide()
    assert "then" not in w.state.tasks


@pytest.mark.parametrize("actual", ALIVE)
def test_what_has_not_ended_is_never_deleted_for_the_sake_of_the_limit(actual: TaskState) -> None:
    w = world(TaskState.SHUTDOWN, actual, history=1)
    w.decide()
    assert "then" in w.state.tasks
    assert "now" in w.state.tasks


def test_a_smaller_limit_deletes_the_oldest_at_once() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(restart=make.restart(delay=0))).settle()
    for _ in range(4):
        w.tell(w.going()[0].id, TaskState.FAILED)
        w.wait(70)
    oldest = w.tasks()[0].id
    w.put(make.cluster(task_history=2))
    w.settle()
    assert len(w.tasks()) == 2
    assert oldest not in w.state.tasks


def test_many_are_deleted_in_one_round() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(replicas=1200)).settle()
    w.change(replicas=0)
    w.decide()
    w.agents()
    assert w.round() >= 2400
    assert not w.state.tasks
    assert not w.state.statuses


def test_tasks_are_in_the_order_of_their_making() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(restart=make.restart(delay=0))).settle()
    w.now -= 500  # the next leader's clock is behind
    w.new_leader()
    w.tell(w.going()[0].id, TaskState.FAILED)
    w.wait(10)
    times = [task.created_at for task in w.tasks()]
    assert times == sorted(times)
    assert w.tasks()[-1].id == w.running()[0].id
