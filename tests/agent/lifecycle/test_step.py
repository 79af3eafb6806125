"""task.step as a table: what is seen and wanted in, action and status out."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from agent.lifecycle.health import Health, HealthState, Probe
from agent.lifecycle.step import Action, Failure, Observed, Wanted, step
from agent.runtime.interface import Exit, Image
from api.objects.observed import TaskStatus
from api.reasons.reason import Code, reason
from api.states import TaskState, is_legal
from tests.agent.builders import IMAGE, a_spec, a_task
from tests.texts import error_of

GOT = Observed(image=Image(IMAGE, (IMAGE,), ()))
ON = replace(GOT, connected=True)
QUEUED = replace(ON, turn=True)
OPEN = replace(QUEUED, netns="/run/netns/x")
CREATED = replace(OPEN, created=True)
RUNNING = replace(CREATED, turn=False, pid=7, reached=TaskState.STARTING)
WAITING = replace(RUNNING, health=Health(HealthState.STARTING))
ILL = replace(
    RUNNING, health=Health(HealthState.UNHEALTHY, 3, (Probe(0, 1, 1, "no route\n"),)), reached=TaskState.RUNNING
)
ENDED = replace(RUNNING, exit=Exit(0, False, 5.0))
CRASHED = replace(RUNNING, exit=Exit(3, False, 5.0))

UP = [
    (Observed(), Action.FETCH, TaskState.PREPARING),
    (GOT, Action.CONNECT, TaskState.PREPARING),
    (ON, Action.QUEUE, TaskState.PREPARING),
    (QUEUED, Action.OPEN, TaskState.PREPARING),
    (OPEN, Action.CREATE, TaskState.PREPARING),
    (CREATED, Action.START, TaskState.STARTING),
    (WAITING, Action.WATCH, TaskState.STARTING),
    (RUNNING, Action.WATCH, TaskState.RUNNING),
    (replace(WAITING, health=Health(HealthState.HEALTHY)), Action.WATCH, TaskState.RUNNING),
]


@pytest.mark.parametrize(("seen", "action", "state"), UP)
def test_on_the_way_up_each_fact_leads_to_the_next_action(seen: Observed, action: Action, state: TaskState) -> None:
    now = step(Wanted(a_task(), a_spec()), seen)

    assert (now.action, now.status.state) == (action, state)


def test_a_task_without_its_spec_is_accepted_and_waits() -> None:
    now = step(Wanted(a_task()), Observed())

    assert (now.action, now.status.state) == (Action.IDLE, TaskState.ACCEPTED)


def test_a_task_wanted_ready_stops_before_it_starts() -> None:
    now = step(Wanted(a_task(desired=TaskState.READY), a_spec()), CREATED)

    assert (now.action, now.status.state) == (Action.IDLE, TaskState.READY)


def closed(seen: Observed) -> Observed:
    return replace(seen, maybe_sandbox=False)


MISSING = reason(Code.IMAGE_UNAVAILABLE, image="demo:1", text="no such image")
ENDS = [
    (ENDED, TaskState.COMPLETE, ""),
    (CRASHED, TaskState.FAILED, "task: non-zero exit (3)"),
    (
        replace(CRASHED, exit=Exit(137, True, 5.0)),
        TaskState.FAILED,
        "task: non-zero exit (137): out of memory: killed at its memory limit",
    ),
    (
        replace(ILL, exit=Exit(143, False, 5.0)),
        TaskState.FAILED,
        "task: non-zero exit (143): unhealthy container: its health check failed 3 times in a row, last with: no route",
    ),
    (
        replace(ILL, exit=Exit(0, False, 5.0)),
        TaskState.FAILED,
        "task: unhealthy container: its health check failed 3 times in a row, last with: no route",
    ),
    (
        replace(Observed(), failure=Failure(TaskState.REJECTED, MISSING), maybe_container=False),
        TaskState.REJECTED,
        "no such image",
    ),
]


@pytest.mark.parametrize(("seen", "state", "error"), ENDS)
def test_an_end_is_told_once_the_sandbox_is_closed_and_not_before(seen: Observed, state: TaskState, error: str) -> None:
    wanted = Wanted(a_task(), a_spec())
    before, after = step(wanted, seen), step(wanted, closed(seen))

    assert before.action is Action.CLOSE
    assert not before.status.state.is_terminal
    assert (after.action, after.status.state, error_of(after.status)) == (
        Action.IDLE,
        state,
        error,
    )


def test_an_unhealthy_container_is_stopped() -> None:
    assert step(Wanted(a_task(), a_spec()), ILL).action is Action.STOP


def test_a_task_being_stopped_before_it_was_healthy_never_looks_running() -> None:
    now = step(Wanted(a_task(desired=TaskState.SHUTDOWN), a_spec()), WAITING)

    assert (now.action, now.status.state) == (Action.STOP, TaskState.STARTING)


@pytest.mark.parametrize("desired", [TaskState.SHUTDOWN, TaskState.REMOVE])
def test_a_task_that_serves_is_drained_before_it_is_stopped(desired: TaskState) -> None:
    serving = replace(RUNNING, reached=TaskState.RUNNING)
    order = a_task(desired=desired)
    draining = Wanted(replace(order, draining=True, linger=1.0), a_spec())
    drained = Wanted(replace(order, linger=1.0), a_spec())

    assert step(draining, serving).action is Action.DRAIN
    assert step(drained, serving).action is Action.LINGER
    assert step(draining, replace(serving, drained=True)).action is Action.LINGER
    assert step(drained, replace(serving, lingered=True)).action is Action.STOP
    # Nobody is left to take over.
    assert step(Wanted(order, a_spec()), serving).action is Action.STOP
    assert step(dataclasses.replace(draining, gone=True), serving).action is Action.STOP


@pytest.mark.parametrize("seen", [Observed(), GOT, ON, QUEUED, OPEN, CREATED])
def test_a_task_shut_down_before_it_ran_leaves_nothing(seen: Observed) -> None:
    wanted = Wanted(a_task(desired=TaskState.SHUTDOWN), a_spec())

    assert step(wanted, seen).action is Action.REMOVE
    seen = replace(seen, maybe_container=False)
    assert step(wanted, seen).action is Action.CLOSE
    last = step(wanted, closed(seen))
    assert (last.action, last.status.state) == (Action.IDLE, TaskState.SHUTDOWN)


def test_an_ended_container_is_kept_until_it_is_to_be_removed() -> None:
    seen = closed(CRASHED)

    assert step(Wanted(a_task(desired=TaskState.SHUTDOWN), a_spec()), seen).action is Action.IDLE
    assert step(Wanted(a_task(desired=TaskState.REMOVE), a_spec()), seen).action is Action.REMOVE
    assert step(Wanted(a_task(), a_spec(), gone=True), seen).action is Action.REMOVE


def test_a_runner_leaves_only_when_the_task_is_gone_and_nothing_is_left() -> None:
    seen = replace(closed(CRASHED), maybe_container=False)

    assert step(Wanted(a_task(desired=TaskState.REMOVE), a_spec()), seen).action is Action.IDLE
    assert step(Wanted(a_task(), a_spec(), gone=True), seen).action is Action.LEAVE


def test_a_terminal_status_once_told_never_changes() -> None:
    final = TaskStatus(TaskState.FAILED, 4.0, "failed", "task: non-zero exit (3)")
    seen = replace(closed(CRASHED), final=final)

    assert step(Wanted(a_task(desired=TaskState.SHUTDOWN), a_spec()), seen).status == final
    assert step(Wanted(a_task(desired=TaskState.REMOVE), a_spec()), seen).status == final


ALL = [seen for seen, *_ in UP] + [seen for seen, *_ in ENDS] + [ILL]


@pytest.mark.parametrize("seen", ALL + [closed(seen) for seen in ALL])
@pytest.mark.parametrize("desired", [TaskState.RUNNING, TaskState.SHUTDOWN, TaskState.REMOVE])
@pytest.mark.parametrize("reached", [TaskState.ACCEPTED, TaskState.STARTING, TaskState.RUNNING])
def test_no_status_goes_back(seen: Observed, desired: TaskState, reached: TaskState) -> None:
    now = step(Wanted(a_task(desired=desired), a_spec()), replace(seen, reached=reached))

    assert is_legal(reached, now.status.state)
