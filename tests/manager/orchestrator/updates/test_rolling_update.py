"""Rolling updates and rollbacks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from api.objects.decided import Task
from api.objects.kinds import SERVICE
from api.service.container import ContainerSpec, Driver, Mount
from api.service.placement import Placement, Platform, Preference, SpreadOver
from api.service.resources import Limits, Resources
from api.states import TaskState
from tests import make
from tests.manager.world import World
from tests.texts import update_text


def world(replicas: int = 4, **fields: object) -> World:
    return World(
        make.cluster(), *[make.node(f"n{n}") for n in (1, 2, 3)], make.service(replicas=replicas, **fields)
    ).settle()


def revisions(w: World) -> list[int]:
    return [task.revision for task in w.running()]


def bad(revision: int, state: TaskState = TaskState.FAILED):
    """Agents on which one revision does not come up."""

    def run(task: Task) -> TaskState:
        return state if task.revision == revision else TaskState.RUNNING

    return run


def message(w: World) -> str:
    update = w.state.service_decisions["s1"].update
    return update_text(update) if update else ""


def test_a_new_image_replaces_every_slot_and_keeps_their_numbers() -> None:
    w = world()
    w.change(replicas=4, image="web:2")
    w.decide()
    assert (w.update(), message(w)) == ("updating", "update in progress")
    w.wait(10)
    assert revisions(w) == [2, 2, 2, 2]
    assert [task.slot for task in w.running()] == [1, 2, 3, 4]
    assert (w.update(), message(w)) == ("completed", "update completed")


def test_one_slot_at_a_time_is_the_default_and_the_old_task_stops_first() -> None:
    w = world()
    w.change(replicas=4, image="web:2")
    least = 4
    for _ in range(200):
        w.round()
        least = min(least, len(w.running()))
        w.agents()
    assert revisions(w) == [2, 2, 2, 2]
    assert least == 3


def test_start_first_never_has_less_than_all_running() -> None:
    w = world(update=make.update(order="start-first"))
    w.change(replicas=4, image="web:2", update=make.update(order="start-first"))
    for _ in range(200):
        w.round()
        slots = {task.slot for task in w.running()}
        assert slots == {1, 2, 3, 4}
        w.agents()
    assert revisions(w) == [2, 2, 2, 2]


def test_parallelism_bounds_how_many_are_replaced_together() -> None:
    w = world(8)
    w.change(replicas=8, image="web:2", update=make.update(parallelism=3))
    w.decide()
    assert len([t for t in w.tasks() if t.desired is TaskState.SHUTDOWN]) == 3


def test_parallelism_zero_replaces_all_together() -> None:
    w = world(8)
    w.change(replicas=8, image="web:2", update=make.update(parallelism=0))
    w.decide()
    assert len([t for t in w.tasks() if t.desired is TaskState.SHUTDOWN]) == 8


def test_the_delay_passes_between_slots() -> None:
    w = world(3)
    w.change(replicas=3, image="web:2", update=make.update(delay=10))
    w.wait(9)
    assert sorted(revisions(w)) == [1, 1, 2]
    w.wait(2)
    assert sorted(revisions(w)) == [1, 2, 2]
    w.wait(10)
    assert revisions(w) == [2, 2, 2]
    assert w.update() == "updating"
    w.wait(11)
    assert w.update() == "completed"


def test_the_update_completes_when_the_last_task_has_been_watched() -> None:
    w = world(1)
    w.change(image="web:2", update=make.update(monitor=30))
    w.wait(29)
    assert w.update() == "updating"
    w.wait(2)
    assert w.update() == "completed"


def test_a_change_that_tasks_are_not_made_from_restarts_nothing() -> None:
    w = world()
    before = [task.id for task in w.running()]
    w.change(replicas=4, labels={"a": "b"}, update=make.update(parallelism=2))
    w.wait(20)
    assert [task.id for task in w.running()] == before
    assert w.update() == ""


def test_other_preferences_or_another_maximum_per_node_restart_nothing() -> None:
    w = world()
    before = [task.id for task in w.running()]
    for placement in (Placement(preferences=[Preference(SpreadOver("node.labels.az"))]), Placement(max_replicas=2)):
        w.change(replicas=4, placement=placement)
        w.wait(20)
        assert [task.id for task in w.running()] == before
        assert w.update() == ""


@pytest.mark.parametrize(
    "change",
    [
        {"force_update": 1},
        {"log_driver": Driver("none")},
        {"restart_policy": make.restart("on-failure")},
        {"resources": Resources(limits=Limits(memory_bytes=make.GIB))},
        {"container_spec": ContainerSpec("web:1", env=["A=1"])},
        {"container_spec": ContainerSpec("web:1", mounts=[Mount("tmpfs", "", "/tmp")])},
        {"container_spec": ContainerSpec("web:1", labels={"a": "b"})},
        {"placement": Placement(platforms=[Platform("amd64", "linux")])},
    ],
    ids=str,
)
def test_every_change_of_what_tasks_are_made_from_replaces_all_of_them(change: dict[str, object]) -> None:
    w = world(2)
    old = w.state.services["s1"]
    template = replace(old.spec.task_template, **change)
    w.put((SERVICE, "s1", replace(old, spec=replace(old.spec, task_template=template), revision=2)))
    w.wait(60)
    assert (w.update(), revisions(w)) == ("completed", [2, 2])


def test_host_mode_ports_are_part_of_what_tasks_are_made_from() -> None:
    w = world(1)
    w.change(ports=[make.port(8080, mode="host")])
    w.wait(10)
    assert revisions(w) == [2]


def test_a_failure_pauses_the_update() -> None:
    w = world()
    w.change(replicas=4, image="web:2")
    w.wait(60, bad(2))
    assert w.update() == "paused"
    assert message(w).startswith("update paused due to failure or early termination of task ")
    assert revisions(w) == [1, 1, 1]
    w.wait(600, bad(2))
    assert revisions(w) == [1, 1, 1]


def test_a_new_revision_ends_the_pause() -> None:
    w = world()
    w.change(replicas=4, image="web:2")
    w.wait(60, bad(2))
    w.change(replicas=4, image="web:3")
    w.wait(60, bad(2))
    assert w.update() == "completed"
    assert revisions(w) == [3, 3, 3, 3]


def test_with_continue_failures_do_not_stop_the_update() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(action="continue"))
    w.wait(60, bad(2))
    assert w.update() == "completed"
    newest = {task.slot: task for task in w.tasks()}
    assert {slot: task.revision for slot, task in newest.items()} == {1: 2, 2: 2, 3: 2, 4: 2}
    assert not w.running()


def test_failures_up_to_the_ratio_are_borne() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(ratio=0.3))
    w.settle(lambda task: TaskState.FAILED if task.id == "t000005" else TaskState.RUNNING)
    w.wait(60)
    assert w.update() == "completed"
    assert w.state.service_decisions["s1"].update.failures == 1  # type: ignore[union-attr]


def test_an_end_after_the_monitor_time_is_no_failure_of_the_update() -> None:
    w = world(2)
    w.change(replicas=2, image="web:2", update=make.update(delay=60, monitor=5))
    w.wait(30)
    new = next(task for task in w.running() if task.revision == 2)
    w.tell(new.id, TaskState.FAILED)
    w.wait(200)
    assert w.update() == "completed"


def test_with_rollback_a_failure_brings_the_old_revision_back() -> None:
    w = world()
    old = w.state.services["s1"].spec.task_template
    w.change(replicas=4, image="web:2", update=make.update(action="rollback"))
    w.wait(60, bad(2))
    assert (w.update(), message(w)) == ("rollback_completed", "rollback completed")
    assert revisions(w) == [1, 1, 1, 1]
    decision = w.state.service_decisions["s1"]
    assert (decision.revision, decision.wanted, decision.previous) == (1, 2, 0)
    assert w.state.revisions_of("s1")[decision.revision].spec.task_template == old


def test_a_rollback_that_fails_pauses() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(action="rollback"))

    def run(task: Task) -> TaskState:
        return (
            TaskState.FAILED
            if task.revision == 2 or task.created_at > 1000.0 or task.id > "t000004"
            else TaskState.RUNNING
        )

    w.wait(60, run)
    assert w.update() == "rollback_paused"
    assert message(w).startswith("rollback paused due to failure or early termination of task ")


def never_again(task: Task) -> TaskState:
    """Agents on which nothing comes up that was not there at first."""
    return TaskState.RUNNING if task.id <= "t000004" else TaskState.FAILED


def test_a_rollback_that_is_to_continue_goes_through_whatever_fails() -> None:
    w = world()
    old = w.state.services["s1"]
    w.put(
        (
            SERVICE,
            "s1",
            replace(old, spec=replace(old.spec, rollback_config=make.update(action="continue")), revision=2),
        )
    )
    w.settle()
    w.change(replicas=4, image="web:2", update=make.update(2, action="rollback"))
    w.wait(120, never_again)
    assert w.update() == "rollback_completed"
    assert w.state.service_decisions["s1"].revision == 2
    newest = {task.slot: task.revision for task in w.tasks() if task.revision != 3}
    assert newest == {1: 2, 2: 2, 3: 1, 4: 1}, "2 is 1 with another rollback config"
    assert 3 not in {task.revision for task in w.going()}


def test_after_a_rollback_that_failed_the_next_update_works() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(action="rollback"))
    w.wait(60, never_again)
    assert w.update() == "rollback_paused"
    w.change(replicas=4, image="web:3")
    w.wait(60)
    assert (w.update(), revisions(w)) == ("completed", [3, 3, 3, 3])


def test_a_rollback_asked_for_is_called_one() -> None:
    w = world(2)
    w.change(replicas=2, image="web:2")
    w.wait(20)
    w.change(replicas=2, image="web:1", rollback=True)
    w.decide()
    assert (w.update(), message(w)) == ("rollback_started", "manually requested rollback")
    w.wait(20)
    assert w.update() == "rollback_completed"
    assert revisions(w) == [3, 3]


def test_an_old_task_that_does_not_stop_blocks_the_update_for_a_while_only() -> None:
    w = world(1)
    w.change(image="web:2", grace=0)
    w.decide()
    old = w.tasks()[0]
    w.lose(old.node_id)
    w.put(make.node(old.node_id))
    for _ in range(3):
        w.decide()
    w.now += 59
    w.dirty.add("services", "s1")
    w.decide()
    assert not w.going(), "it is waited for"
    w.now += 12
    w.dirty.add("services", "s1")
    w.decide()
    assert [task.revision for task in w.going()] == [2]


def test_an_update_goes_on_under_a_new_leader() -> None:
    w = world()
    w.change(replicas=4, image="web:2", update=make.update(delay=10))
    w.wait(12)
    assert sorted(revisions(w)) == [1, 1, 2, 2]
    w.new_leader()
    w.wait(60)
    assert revisions(w) == [2, 2, 2, 2]
    assert w.update() == "completed"


def test_a_scale_in_the_middle_of_an_update_is_done_with_the_new_revision() -> None:
    w = world(2)
    w.change(replicas=2, image="web:2", update=make.update(delay=10))
    w.wait(1)
    w.change(replicas=4, image="web:2", update=make.update(delay=10))
    w.wait(60)
    assert sorted({task.revision for task in w.running()}) == [2, 3]
    assert len(w.running()) == 4
    assert w.update() == "completed"


def test_a_one_shot_that_ends_well_does_not_stop_its_update() -> None:
    policy = make.restart("none")
    w = world(restart=policy)
    w.change(replicas=4, image="web:2", restart=policy, update=make.update(parallelism=0))
    w.wait(60, lambda task: TaskState.COMPLETE if task.revision == 2 else TaskState.RUNNING)
    assert (w.update(), message(w)) == ("completed", "update completed")


def test_there_is_never_a_third_task_in_a_slot_though_updates_follow_one_another_fast() -> None:
    how = make.update(order="start-first", monitor=0)
    w = world(1, update=how)
    slow = w.running()[0].id
    for number in (2, 3, 4):
        w.change(image=f"web:{number}", update=how)
        for _ in range(8):
            w.round()
            for task in w.tasks():
                if task.id != slow and task.state is TaskState.ASSIGNED and not w.state.task_state(task).is_terminal:
                    w.tell(task.id, TaskState.RUNNING if task.desired is TaskState.RUNNING else TaskState.SHUTDOWN)
        assert sum(w.state.task_state(task) is TaskState.RUNNING for task in w.tasks()) <= 2
    w.wait(60)
    assert revisions(w) == [4]


def test_slots_that_do_not_run_are_updated_first() -> None:
    w = world(4, update=make.update(2))
    waiting = w.running()[3]
    w.tell(waiting.id, TaskState.STARTING)
    w.change(replicas=4, image="web:2", update=make.update(2))
    w.decide()
    assert w.state.tasks[waiting.id].desired is TaskState.SHUTDOWN
    assert len(w.running()) == 2
