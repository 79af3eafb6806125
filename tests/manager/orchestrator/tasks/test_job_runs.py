"""Scheduled jobs: each run once, at its time, whoever leads."""

from __future__ import annotations

import pytest

from api.reasons.reason_text import text
from api.service.mode import EmptyMode, Mode, ReplicatedJob
from api.service.schedule import Schedule
from api.states import Availability, TaskState
from tests import make
from tests.manager.world import World

EVERY_MINUTE = "* * * * *"
START = 1_000_000_020.0 - 1_000_000_020.0 % 60  # a full minute


def job(total: int = 1, most: int | None = None) -> Mode:
    return Mode(replicated_job=ReplicatedJob(max_concurrent=most, total_completions=total))


def world(mode: Mode | None = None, schedule: Schedule | None = None, **fields: object) -> World:
    fields.setdefault("mode", mode or job())
    return World(
        make.cluster(), make.node("n1"), make.node("n2"),
        make.service(created_at=START + 1, schedule=schedule or Schedule(EVERY_MINUTE), **fields), now=START + 1,
    ).settle()  # fmt: skip


def runs(w: World) -> list[tuple[float, str]]:
    """When each run was due, in minutes from the start, and what came of it."""
    return [((run.due_at - START) / 60, run.outcome) for run in w.state.service_decisions["s1"].runs]


def complete(w: World, state: TaskState = TaskState.COMPLETE) -> None:
    for task in w.running():
        w.tell(task.id, state)
    w.settle()


def test_nothing_runs_before_it_is_due() -> None:
    w = world()
    w.wait(58)
    assert w.tasks() == []
    w.wait(2)
    assert [task.job_iteration for task in w.running()] == [1]
    assert runs(w) == [(1, "running")]


def test_every_due_time_gets_one_run_and_the_tasks_of_the_one_before_go() -> None:
    w = world(job(2, 2))
    for number in range(1, 6):
        w.wait(60)
        assert [task.job_iteration for task in w.tasks()] == [number, number]
        complete(w)
    assert runs(w) == [(number, "completed") for number in range(1, 6)]


def test_a_change_of_leader_at_any_commit_neither_misses_nor_doubles_a_run() -> None:
    w = world(job(2, 2))
    for minute in range(1, 8):
        w.now = START + 60 * minute
        for _ in range(12):
            w.new_leader()
            w.round()
            w.agents()
        complete(w)
    assert runs(w) == [(number, "completed") for number in range(1, 8)]
    assert {task.job_iteration for task in w.tasks()} == {7}


def test_runs_that_came_due_while_nobody_led_are_made_up_for_one_after_another() -> None:
    w = world(schedule=Schedule("*/10 * * * * *"))
    w.now = START + 45
    w.new_leader()
    for _ in range(4):
        w.settle()
        complete(w)
    assert [(run.due_at - START, run.outcome) for run in w.state.service_decisions["s1"].runs] == [
        (10, "completed"), (20, "completed"), (30, "completed"), (40, "completed"),
    ]  # fmt: skip


def test_a_run_that_is_too_late_is_missed() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, missed_window=90 * make.SECOND))
    w.now = START + 5 * 60 + 10
    w.new_leader()
    w.settle()
    assert runs(w) == [(1, "missed"), (2, "missed"), (3, "missed"), (4, "running")]
    complete(w)
    assert runs(w)[-1] == (5, "running")


def test_without_a_window_the_last_one_is_made_up_for_however_late() -> None:
    w = world(schedule=Schedule("@daily"))
    w.now = START + 60 * 60 * 24 * 3.2
    w.settle()
    assert [run.outcome for run in w.state.service_decisions["s1"].runs] == ["missed", "missed", "running"]


def test_forbid_waits_for_the_end_of_the_run_before() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, overlap="forbid"))
    w.wait(150)
    assert runs(w) == [(1, "running")]
    complete(w)
    assert runs(w) == [(1, "completed"), (2, "running")]


def test_forbid_skips_what_it_cannot_start_in_time() -> None:
    w = world()
    w.wait(60 * 5 + 30)
    complete(w)
    assert runs(w) == [(1, "completed"), (2, "skipped"), (3, "skipped"), (4, "skipped"), (5, "running")]


def test_replace_stops_the_run_before_and_waits_for_its_tasks_to_end() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, overlap="replace"))
    w.wait(60)
    old = w.running()[0]
    w.now = START + 121
    w.decide()
    assert runs(w) == [(1, "replaced"), (2, "running")]
    assert [(task.id, task.desired) for task in w.tasks()] == [(old.id, TaskState.REMOVE)]
    w.settle()
    assert [task.job_iteration for task in w.running()] == [2]


def test_allow_starts_runs_beside_one_another_each_with_slots_of_its_own() -> None:
    w = world(job(2, 2), Schedule(EVERY_MINUTE, overlap="allow"))
    w.wait(185)
    assert runs(w) == [(1, "running"), (2, "running"), (3, "running")]
    assert [(task.slot, task.job_iteration) for task in w.running()] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)]
    for task in w.running():
        if task.job_iteration == 2:
            w.tell(task.id, TaskState.COMPLETE)
    w.settle()
    assert runs(w) == [(1, "running"), (2, "completed"), (3, "running")]
    w.wait(60)
    assert [(task.slot, task.job_iteration) for task in w.running()][2:4] == [(3, 4), (4, 4)]


def test_a_global_job_runs_on_every_node_at_each_time() -> None:
    w = world(Mode(global_job=EmptyMode()))
    for number in (1, 2, 3):
        w.wait(60)
        assert [(task.node_id, task.job_iteration) for task in w.running()] == [("n1", number), ("n2", number)]
        complete(w)
    assert runs(w) == [(1, "completed"), (2, "completed"), (3, "completed")]


@pytest.mark.parametrize("how", ["lost", "drained"])
def test_a_node_that_goes_during_a_run_on_all_nodes_holds_no_later_run_up(how: str) -> None:
    w = world(Mode(global_job=EmptyMode()))
    w.wait(60)
    if how == "lost":
        w.lose("n2")
    else:
        w.put(make.node("n2", availability=Availability.DRAIN)[:2])
    w.settle()
    assert runs(w) == [(1, "running")], "the other node is still at work"
    for task in w.running():
        w.tell(task.id, TaskState.COMPLETE)
    w.settle()
    assert runs(w) == [(1, "failed")]
    w.wait(60)
    assert runs(w) == [(1, "failed"), (2, "running")]
    assert [task.node_id for task in w.running() if task.job_iteration == 2] == ["n1"]


def test_a_task_that_fails_for_good_makes_the_run_a_failure() -> None:
    w = world(restart=make.restart("on-failure", delay=1, attempts=1))
    w.wait(60)
    complete(w, TaskState.FAILED)
    w.wait(2)
    assert runs(w) == [(1, "running")]
    complete(w, TaskState.FAILED)
    assert runs(w) == [(1, "failed")]
    w.wait(60)
    assert runs(w) == [(1, "failed"), (2, "running")]


def test_a_run_that_fails_again_and_again_ends_also_where_nobody_said_how_often_to_try() -> None:
    w = world(restart=make.restart("any", delay=0))
    w.wait(60)
    for _ in range(7):
        assert runs(w) == [(1, "running")]
        complete(w, TaskState.FAILED)
        w.wait(3)
    assert runs(w) == [(1, "failed")]
    w.wait(60)
    assert runs(w)[-1][1] == "running", "the next run is not held up"


def test_attempts_without_limit_may_be_asked_for() -> None:
    w = world(restart=make.restart("any", delay=0, attempts=0))
    w.wait(60)
    for _ in range(12):
        complete(w, TaskState.FAILED)
        w.wait(61)
    assert runs(w)[0] == (1, "running")
    assert {outcome for _, outcome in runs(w)[1:]} == {"skipped"}


def hanging(overlap: str = "forbid", mode: Mode | None = None) -> World:
    return world(mode, Schedule(EVERY_MINUTE, overlap=overlap, active_deadline=90 * make.SECOND))  # type: ignore[arg-type]


def test_a_run_that_hangs_is_stopped_at_its_deadline_and_later_ones_are_not_held_up() -> None:
    w = hanging(mode=job(3, 2))
    w.wait(60)
    w.tell(w.running()[0].id, TaskState.COMPLETE)
    w.wait(88)
    assert runs(w) == [(1, "running")]
    hung = [task.id for task in w.running()]
    w.now += 1
    w.decide()
    assert runs(w) == [(1, "failed"), (2, "running")]
    assert {w.state.tasks[id].desired for id in hung} == {TaskState.REMOVE}
    assert not {task.slot for task in w.going()} & {w.state.tasks[id].slot for id in hung}, "they wait for the old ones"
    w.settle()
    assert [task.job_iteration for task in w.running()] == [2, 2]


def test_the_tasks_of_a_run_that_hung_say_why_they_were_stopped_until_the_next_run() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, active_deadline=20 * make.SECOND))
    w.wait(85)
    assert runs(w) == [(1, "failed")]
    (task,) = w.tasks()
    why = "the run has taken longer than its active deadline of 20 s"
    assert (task.desired, text(task.reason)) == (TaskState.SHUTDOWN, why)
    w.wait(60)
    assert runs(w) == [(1, "failed"), (2, "failed")]


def test_a_run_on_all_nodes_and_one_that_finds_no_node_have_a_deadline_too() -> None:
    w = hanging(mode=Mode(global_job=EmptyMode()))
    w.wait(60)
    w.tell(w.running()[0].id, TaskState.COMPLETE)
    w.wait(90)
    assert runs(w) == [(1, "failed"), (2, "running")]
    for node in ("n1", "n2"):
        w.put(make.node(node, availability=Availability.PAUSE)[:2])
    w.change(mode=job(), schedule=Schedule(EVERY_MINUTE, active_deadline=10 * make.SECOND))
    w.wait(180)
    assert runs(w)[-1] == (5, "failed")


def test_runs_beside_one_another_have_a_deadline_each_also_under_another_leader() -> None:
    w = hanging("allow")
    w.wait(60)
    for _ in range(4):
        w.new_leader()
        w.wait(60)
    assert [outcome for _, outcome in runs(w)] == ["failed", "failed", "failed", "running", "running"]
    assert {task.job_iteration for task in w.running()} == {4, 5}


def test_a_suspended_schedule_passes_over_what_is_due() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, suspend=True))
    w.wait(300)
    w.change(mode=job(), schedule=Schedule(EVERY_MINUTE))
    w.settle()
    assert runs(w) == []
    w.wait(60)
    assert runs(w) == [(6, "running")]


def test_an_update_starts_no_run_and_stops_none() -> None:
    w = world()
    w.wait(60)
    before = w.running()
    w.change(mode=job(), image="web:2", schedule=Schedule(EVERY_MINUTE))
    w.settle()
    assert w.running() == before
    complete(w)
    w.wait(60)
    assert [(task.revision, task.job_iteration) for task in w.running()] == [(2, 2)]


def test_the_history_is_as_long_as_asked_for() -> None:
    w = world(schedule=Schedule(EVERY_MINUTE, history=3))
    for _ in range(6):
        w.wait(60)
        complete(w)
    assert runs(w) == [(4, "completed"), (5, "completed"), (6, "completed")]


def test_a_schedule_taken_away_leaves_a_job_that_runs_at_once() -> None:
    w = world()
    w.wait(60)
    w.change(mode=job())
    w.settle()
    assert [task.revision for task in w.running()] == [2]
    assert runs(w) == [(1, "replaced")]
    assert w.state.service_decisions["s1"].scheduled_to == 0


def test_a_schedule_may_come_from_labels() -> None:
    w = World(
        make.cluster(), make.node("n1"),
        make.service(created_at=START, mode=job(), labels={"argosy.schedule": "@hourly"}), now=START,
    ).settle()  # fmt: skip
    assert w.tasks() == []
    w.wait(3600)
    assert len(w.running()) == 1


@pytest.mark.parametrize("total", [0, 3])
def test_a_run_is_over_when_its_last_task_is(total: int) -> None:
    w = world(job(total, 1))
    w.wait(60)
    for _ in range(total):
        assert runs(w) == [(1, "running")]
        complete(w)
    assert runs(w) == [(1, "completed")]
