"""Where an automatic rollback goes: to the last revision that all slots came to be of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api.objects.decided import Task
from api.states import TaskState
from tests import make
from tests.manager.world import World

BACK = make.update(action="rollback", deadline=30)


def world() -> World:
    return World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=4)).settle()


def agents(state: TaskState, *bad: int) -> Callable[[Task], TaskState]:
    """Agents on which these revisions come no further than that."""
    return lambda task: state if task.revision in bad else TaskState.RUNNING


def revisions(w: World) -> list[int]:
    return [task.revision for task in w.running()]


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.STARTING])
def test_a_revision_whose_update_was_paused_is_passed_over(state: TaskState) -> None:
    w = world()
    run = agents(state, 2, 3)
    w.change(replicas=4, image="web:2", update=make.update(deadline=30))
    w.wait(60, run)
    assert w.update() == "paused"
    w.change(replicas=4, image="web:3", update=BACK)
    began = w.now
    while w.update() != "rollback_completed":
        w.wait(1, run)
        assert w.now - began < 60, "the rollback does not wait for its own deadline"
    assert revisions(w) == [1, 1, 1, 1]


def test_a_revision_that_was_not_through_when_the_next_came_is_passed_over() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(delay=10))
    w.wait(15)
    assert sorted(revisions(w)) == [1, 1, 2, 2]
    w.change(replicas=4, image="web:3", update=BACK)
    w.wait(60, agents(TaskState.FAILED, 3))
    assert (w.update(), revisions(w)) == ("rollback_completed", [1, 1, 1, 1])


def test_a_revision_that_was_completed_is_where_the_next_one_goes_back_to() -> None:
    w = world()
    for number in (2, 3):
        w.change(replicas=4, image=f"web:{number}", update=BACK)
        w.wait(60, agents(TaskState.FAILED, 3))
    assert (w.update(), revisions(w)) == ("rollback_completed", [2, 2, 2, 2])


def test_after_a_rollback_the_next_update_goes_back_to_the_same_revision_again() -> None:
    w = world()
    for number in (2, 3):
        w.change(replicas=4, image=f"web:{number}", update=BACK)
        w.wait(60, agents(TaskState.FAILED, 2, 3))
        assert (w.update(), revisions(w)) == ("rollback_completed", [1, 1, 1, 1])


def test_a_rollback_by_hand_after_a_pause_and_another_one_go_back_and_forth() -> None:
    w = world()
    w.change(replicas=4, image="web:2")
    w.wait(60, agents(TaskState.FAILED, 2))
    decision = w.state.service_decisions["s1"]
    assert (w.update(), decision.previous) == ("paused", 1)
    w.change(replicas=4, image="web:1", rollback=True)
    w.wait(60)
    assert (w.update(), w.state.service_decisions["s1"].previous) == ("rollback_completed", 2)


def test_the_revision_to_go_back_to_is_kept_however_many_are_paused_after_it() -> None:
    w = world()
    for number in range(2, 15):
        w.change(replicas=4, image=f"web:{number}", update=make.update(), revision_history=2)
        w.wait(30, agents(TaskState.FAILED, *range(2, 16)))
        assert w.update() == "paused"
    w.change(replicas=4, image="web:15", update=BACK, revision_history=2)
    w.wait(60, agents(TaskState.FAILED, *range(2, 16)))
    assert (w.update(), revisions(w)) == ("rollback_completed", [1, 1, 1, 1])
