"""The restart policy, seen from outside: when an ended task has a successor."""

from __future__ import annotations

import pytest

from api.service.mode import Mode
from api.states import TaskState
from tests import make
from tests.manager.world import World

MODES = pytest.mark.parametrize("mode", [None, make.global_mode()], ids=["replicated", "global"])


def world(mode: Mode | None = None, **policy: object) -> World:
    return World(
        make.cluster(task_history=100),
        make.node("n1"),
        make.service(mode=mode, restart=make.restart(**policy)),  # type: ignore[arg-type]
    ).settle()


def end(w: World, state: TaskState = TaskState.FAILED) -> None:
    w.tell(w.running()[0].id, state)
    w.settle()


@pytest.mark.parametrize(
    ("condition", "ended", "restarted"),
    [
        ("", TaskState.COMPLETE, True),
        ("any", TaskState.COMPLETE, True),
        ("any", TaskState.FAILED, True),
        ("any", TaskState.REJECTED, True),
        ("on-failure", TaskState.FAILED, True),
        ("on-failure", TaskState.REJECTED, True),
        ("on-failure", TaskState.COMPLETE, False),
        ("none", TaskState.FAILED, False),
    ],
)
@MODES
def test_the_condition_decides(mode: Mode | None, condition: str, ended: TaskState, restarted: bool) -> None:
    w = world(mode, condition=condition)
    end(w, ended)
    w.wait(60)
    assert bool(w.running()) is restarted


@pytest.mark.parametrize(("condition", "ended"), [("on-failure", TaskState.COMPLETE), ("none", TaskState.FAILED)])
@MODES
def test_only_a_new_spec_of_the_task_brings_back_what_the_condition_left_ended(
    mode: Mode | None, condition: str, ended: TaskState
) -> None:
    w = world(mode, condition=condition)
    end(w, ended)
    w.change(mode=mode, labels={"a": "b"}, restart=make.restart(condition))
    w.wait(100)
    assert not w.running()
    w.change(mode=mode, image="web:2", restart=make.restart(condition))
    w.wait(10)
    assert [task.revision for task in w.running()] == [3]


def test_the_delay_is_five_seconds_unless_told_otherwise() -> None:
    w = world()
    end(w)
    w.wait(4.9)
    assert not w.running()
    w.wait(0.2)
    assert len(w.running()) == 1


def test_the_ended_task_is_history_at_once() -> None:
    w = world()
    end(w)
    assert [task.desired for task in w.tasks()] == [TaskState.SHUTDOWN]


def test_a_task_that_was_told_to_stop_is_replaced_without_delay() -> None:
    w = world()
    end(w, TaskState.SHUTDOWN)
    assert len(w.running()) == 1


@MODES
def test_attempts_are_limited_per_slot(mode: Mode | None) -> None:
    w = world(mode, delay=1, attempts=2)
    w.put(make.node("n2"))
    w.change(mode=mode, replicas=2, restart=make.restart(delay=1, attempts=2))
    w.settle()
    _, other = w.running()
    for _ in range(2):
        end(w)
        w.wait(2)
        assert len(w.running()) == 2
    end(w)
    w.wait(1000)
    assert w.running() == [other], "the first was restarted twice"
    w.tell(other.id, TaskState.FAILED)
    w.wait(2)
    assert len(w.running()) == 1, "its attempts are its own"


@MODES
def test_attempts_outside_the_window_do_not_count(mode: Mode | None) -> None:
    w = world(mode, delay=1, attempts=2, window=100)
    for _ in range(5):
        end(w)
        w.wait(90)
        assert len(w.running()) == 1
    for _ in range(3):
        w.wait(10)
        end(w)
    w.wait(1000)
    assert not w.running(), "the third one within the window"


def test_a_new_spec_gives_an_exhausted_slot_new_attempts() -> None:
    w = world(delay=1, attempts=1)
    end(w)
    w.wait(2)
    end(w)
    w.wait(100)
    assert not w.running()
    w.change(labels={"a": "b"}, restart=make.restart(delay=1, attempts=1))
    w.wait(100)
    assert not w.running(), "a change of labels alone is no new spec of the task"
    w.change(image="web:2", restart=make.restart(delay=1, attempts=1))
    w.wait(1)
    assert len(w.running()) == 1


@MODES
def test_a_leader_change_forgets_neither_attempts_nor_delays(mode: Mode | None) -> None:
    w = world(mode, delay=10, attempts=1)
    end(w)
    w.wait(5)
    w.new_leader()
    w.wait(4)
    assert not w.running()
    w.wait(2)
    assert len(w.running()) == 1
    end(w)
    w.new_leader()
    w.wait(100)
    assert not w.running()


def test_a_slot_that_keeps_crashing_waits_longer_up_to_a_minute() -> None:
    w = world(delay=1)
    starts = [w.now]
    for _ in range(14):
        end(w)
        before = w.now
        while not w.running():
            w.wait(1)
        starts.append(w.now - before)
    assert starts[1:6] == [1] * 5
    assert starts[-1] >= 32
    assert max(starts[1:]) <= 60


def test_reaped_history_does_not_reset_the_attempts() -> None:
    w = World(make.cluster(task_history=1), make.node("n1"), make.service(restart=make.restart(delay=1, attempts=3)))
    w.settle()
    for _ in range(3):
        end(w)
        w.wait(2)
    end(w)
    w.wait(1000)
    assert not w.running()
