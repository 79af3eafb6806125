"""Updates that get nowhere: paused or rolled back after a while, with the reason, whoever leads."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from api.objects.decided import Task, UpdateStatus
from api.objects.kinds import SERVICE
from api.reasons.reason import Code, reason
from api.reasons.reason_text import text
from api.states import Availability, TaskState
from tests import make
from tests.manager.world import World
from tests.texts import update_text


def world(replicas: int = 3, **fields: object) -> World:
    return World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=replicas, **fields)).settle()


def stuck(task: Task) -> TaskState:
    return TaskState.STARTING if task.revision == 2 else TaskState.RUNNING


def status(w: World) -> UpdateStatus:
    found = w.state.service_decisions["s1"].update
    assert found is not None
    return found


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_an_update_without_progress_is_paused_after_ten_minutes(order: str) -> None:
    w = world()
    w.change(replicas=3, image="web:2", update=make.update(order=order))
    w.wait(599, stuck)
    assert w.update() == "updating"
    w.wait(2, stuck)
    assert w.update() == "paused"
    assert update_text(status(w)).startswith("update paused: no progress for 600 seconds: task t")
    assert update_text(status(w)).endswith("is starting: it does not say why")


def test_the_reason_is_the_stuck_task_s_own_message() -> None:
    w = world()
    w.change(replicas=3, constraints=["node.labels.gpu == yes"], image="web:2", update=make.update(deadline=30))
    w.wait(40)
    assert w.update() == "paused"
    assert "no suitable node (scheduling constraints not satisfied on 2 nodes)" in update_text(status(w))


def test_it_is_rolled_back_if_that_is_the_failure_action() -> None:
    w = world()
    w.change(replicas=3, image="web:2", update=make.update(deadline=30, action="rollback"))
    w.wait(31, stuck)
    assert status(w).state.startswith("rollback")
    w.wait(60, stuck)
    assert w.update() == "rollback_completed"
    assert text(status(w).reason).startswith("no progress for 30 seconds: task t")
    assert [task.revision for task in w.running()] == [1, 1, 1]


def test_a_rollback_without_progress_is_paused() -> None:
    w = world()
    service = w.state.services["s1"]
    spec = replace(service.spec, rollback_config=make.update(deadline=20))
    w.put((SERVICE, "s1", replace(service, spec=spec, revision=2)))
    w.settle()
    w.change(replicas=3, image="web:2", update=make.update(deadline=30, action="rollback"))

    def nothing_new(task: Task) -> TaskState:
        return TaskState.STARTING if task.id > "t000003" else TaskState.RUNNING

    w.wait(60, nothing_new)
    assert w.update() == "rollback_paused"
    assert update_text(status(w)).startswith("rollback paused: no progress for 20 seconds")


def test_every_slot_that_is_done_starts_the_time_anew() -> None:
    w = world(4)
    w.change(replicas=4, image="web:2", update=make.update(deadline=30, delay=25))
    w.wait(60)
    w.new_leader()
    w.wait(200)
    assert w.update() == "completed"


def test_the_delay_between_slots_is_no_lack_of_progress() -> None:
    w = world(2)
    w.change(replicas=2, image="web:2", update=make.update(deadline=10, delay=100))
    w.wait(300)
    assert w.update() == "completed"


def test_a_slot_that_comes_and_goes_is_no_progress() -> None:
    w = world(2, restart=make.restart(delay=1))
    w.change(
        replicas=2, image="web:2", restart=make.restart(delay=1),
        update=make.update(deadline=60, ratio=1.0, order="start-first", monitor=1),
    )  # fmt: skip
    for _ in range(200):
        w.wait(1, lambda task: TaskState.FAILED if task.revision == 2 else TaskState.RUNNING)
    assert w.update() == "paused"
    assert len(w.running()) == 2


def test_a_task_that_ends_on_a_drained_node_does_not_put_the_deadline_off() -> None:
    w = World(make.cluster(), make.node("n1"), make.node("n2"), make.service(mode=make.global_mode())).settle()
    w.change(mode=make.global_mode(), image="web:2", update=make.update(deadline=30, parallelism=0))
    w.wait(20, stuck)
    w.put(make.node("n2", availability=Availability.DRAIN))
    w.wait(11, stuck)
    assert w.update() == "paused"


def test_an_update_that_a_restart_policy_stops_does_not_hang() -> None:
    w = world(2)
    never, how = make.restart("none"), make.update(order="start-first", action="continue", deadline=60)
    w.change(replicas=2, image="web:2", restart=never, update=how)
    w.wait(200, lambda task: TaskState.FAILED if task.revision == 2 else TaskState.RUNNING)
    assert w.update() == "paused"
    assert "is failed" in update_text(status(w))


def test_a_new_leader_does_not_start_the_time_anew() -> None:
    w = world()
    w.change(replicas=3, image="web:2", update=make.update(deadline=100))
    for _ in range(9):
        w.wait(10, stuck)
        w.new_leader()
    assert w.update() == "updating"
    w.wait(11, stuck)
    assert w.update() == "paused"


def test_an_update_paused_for_lack_of_progress_is_ended_by_the_next_one() -> None:
    w = world()
    w.change(replicas=3, image="web:2", update=make.update(deadline=10))
    w.wait(20, stuck)
    assert w.update() == "paused"
    w.change(replicas=3, image="web:3", update=make.update(deadline=10))
    w.wait(60, stuck)
    assert w.update() == "completed"


def test_the_error_of_the_failed_task_is_the_reason_of_a_pause() -> None:
    w = world()
    w.change(replicas=3, image="web:2")
    w.decide()
    w.agents(stuck)
    w.decide()
    new = w.going()[0]
    assert new.revision == 2
    w.tell(new.id, TaskState.FAILED, reason=reason(Code.NON_ZERO_EXIT, exit_code=3))
    w.decide()
    assert w.update() == "paused"
    assert text(status(w).reason) == f"failure or early termination of task {new.id}: task: non-zero exit (3)"
    assert update_text(status(w)) == f"update paused due to {text(status(w).reason)}"


def test_the_revision_history_is_as_long_as_asked_for() -> None:
    w = World(make.cluster(task_history=1), make.node("n1"), make.service(revision_history=3)).settle()
    for number in range(8):
        w.change(labels={"n": str(number)}, revision_history=3, image=f"web:{number}")
        w.wait(20)
    assert sorted(w.state.revisions_of("s1")) == [7, 8, 9]


def test_going_back_to_any_kept_revision() -> None:
    w = world(2)
    for number in (2, 3, 4):
        w.change(replicas=2, image=f"web:{number}")
        w.wait(30)
    kept = w.state.revisions_of("s1")[2].spec
    w.change(replicas=2, image=kept.task_template.container_spec.image, rollback=True)
    w.wait(1)
    assert w.update() == "rollback_started"
    w.wait(30)
    assert w.update() == "rollback_completed"
    now = w.state.revisions_of("s1")[w.state.service_decisions["s1"].revision].spec
    assert now.task_template == kept.task_template
