"""Replicated services: slots come and go as wanted, and each has one task."""

from __future__ import annotations

import pytest

from api.objects.kinds import SERVICE, TASK
from api.reasons.reason_text import text
from api.service.mode import Mode
from api.service.placement import Placement
from api.service.resources import Reservations
from api.states import Availability, NodeState, Role, TaskState
from tests import make
from tests.manager.world import World


def world(**fields: object) -> World:
    return World(
        make.cluster(), [row for n in (1, 2, 3) for row in make.node(f"n{n}")], make.service(**fields)
    ).settle()


def test_a_service_gets_one_running_task_per_replica() -> None:
    w = world(replicas=3)
    assert [task.slot for task in w.running()] == [1, 2, 3]


def test_one_replica_is_the_default() -> None:
    assert len(world(replicas=None).running()) == 1


def test_scaling_up_keeps_the_tasks_there_are() -> None:
    w = world(replicas=2)
    before = [task.id for task in w.running()]
    w.change(replicas=4)
    w.settle()
    assert [task.id for task in w.running()][:2] == before
    assert [task.slot for task in w.running()] == [1, 2, 3, 4]
    assert w.update() == ""


def test_scaling_down_removes_the_high_slots_of_the_fullest_nodes_and_forgets_them() -> None:
    w = world(replicas=6)
    w.change(replicas=3)
    w.settle()
    assert [task.slot for task in w.tasks()] == [1, 2, 3]
    assert {task.node_id for task in w.tasks()} == {"n1", "n2", "n3"}


def test_scaling_down_prefers_slots_that_do_not_run() -> None:
    w = world(replicas=3)
    w.tell(w.tasks()[0].id, TaskState.STARTING)
    w.change(replicas=2)
    w.settle()
    assert [task.slot for task in w.tasks()] == [2, 3]


def test_scaling_down_takes_slots_without_a_node_first_then_the_higher_ones() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(replicas=3, placement=Placement(max_replicas=2))).settle()
    w.change(replicas=2, placement=Placement(max_replicas=2))
    w.settle()
    assert [task.slot for task in w.running()] == [1, 2], "the third had no room on the node"
    w.change(replicas=1, placement=Placement(max_replicas=2))
    w.settle()
    assert [task.slot for task in w.running()] == [1]


def test_scaling_to_zero_leaves_nothing() -> None:
    w = world(replicas=3)
    w.change(replicas=0)
    w.settle()
    assert w.tasks() == []


def test_a_task_scaled_away_is_deleted_only_when_its_agent_says_that_it_ended() -> None:
    w = world(replicas=2)
    w.change(replicas=1)
    w.decide()
    assert [task.desired for task in w.tasks()] == [TaskState.RUNNING, TaskState.REMOVE]
    w.settle()
    assert len(w.tasks()) == 1


def test_a_slot_is_taken_anew_only_when_what_was_in_it_has_ended() -> None:
    w = world(replicas=3)
    w.change(replicas=1)
    w.decide()
    w.change(replicas=3)
    w.decide()
    assert len(w.going()) == 1, "two tasks in a slot would share its volumes"
    w.settle()
    assert [task.slot for task in w.running()] == [1, 2, 3]


def test_a_task_that_does_not_stop_keeps_its_slot_for_its_grace_period_and_a_minute() -> None:
    w = world(replicas=2)
    w.change(replicas=1)
    w.decide()
    w.change(replicas=2)
    w.decide()
    w.now += 69
    w.decide()
    assert len(w.going()) == 1
    w.now += 2
    assert len(w.decide().going()) == 2


def test_a_deleted_task_is_made_anew() -> None:
    w = world(replicas=2)
    w.delete(TASK, w.tasks()[0].id)
    w.settle()
    assert [task.slot for task in w.running()] == [1, 2]


@pytest.mark.parametrize("mode", [None, make.global_mode(), make.job_mode(3, 3)], ids=["replicated", "global", "job"])
def test_a_removed_service_leaves_no_trace(mode: Mode | None) -> None:
    w = world(replicas=3, mode=mode, restart=make.restart(delay=0))
    w.tell(w.running()[0].id, TaskState.FAILED)
    w.settle()
    assert len(w.tasks()) == 4, "one is dead"
    w.delete(SERVICE, "s1")
    w.settle()
    assert not w.tasks()
    assert not w.state.revisions_of("s1")
    assert not w.state.service_decisions
    assert not w.state.statuses


def test_tasks_that_no_node_was_told_of_are_deleted_at_once() -> None:
    w = World(make.cluster(), make.service(replicas=2)).decide()
    assert len(w.tasks()) == 2
    w.delete(SERVICE, "s1")
    w.decide()
    assert not w.tasks()


def test_tasks_leave_a_drained_node() -> None:
    w = world(replicas=3)
    w.put(make.node("n1", availability=Availability.DRAIN))
    w.settle()
    assert {task.node_id for task in w.running()} == {"n2", "n3"}
    assert len(w.running()) == 3


def test_tasks_of_a_lost_node_are_replaced_at_once_and_keep_their_addresses_until_it_is_back() -> None:
    w = World(
        make.cluster(), make.network(), make.node("n1"), make.node("n2"), make.service(replicas=2, networks=["net1"])
    ).settle()
    lost = next(task for task in w.running() if task.node_id == "n1")
    w.lose("n1")
    w.settle()
    assert w.state.node_state("n1") is NodeState.DOWN
    assert [task.node_id for task in w.running()] == ["n2", "n2"]
    assert w.state.tasks[lost.id].addresses == lost.addresses
    w.regain("n1")
    w.settle()
    assert w.state.task_state(w.state.tasks[lost.id]) is TaskState.SHUTDOWN
    assert w.state.tasks[lost.id].addresses == []


def test_a_node_never_seen_is_left_alone() -> None:
    w = World(
        make.cluster(), make.node("n1", state=NodeState.UNKNOWN), *make.decided_service(), make.task(node_id="n1")
    )
    w.decide()
    assert [task.desired for task in w.tasks()] == [TaskState.RUNNING]


def test_tasks_of_a_removed_node_are_orphaned() -> None:
    w = world(replicas=3)
    lost = next(task for task in w.running() if task.node_id == "n1")
    w.remove_node("n1")
    w.settle()
    assert w.state.tasks[lost.id].state is TaskState.ORPHANED
    assert len(w.running()) == 3
    assert "n1" not in w.state.node_decisions


def test_a_day_after_a_node_was_lost_its_tasks_are_orphaned() -> None:
    w = world(replicas=3)
    lost = next(task for task in w.running() if task.node_id == "n1")
    w.lose("n1")
    w.wait(24 * 3600 - 1)
    assert w.state.tasks[lost.id].state is TaskState.ASSIGNED
    w.wait(2)
    assert w.state.tasks[lost.id].state is TaskState.ORPHANED


def test_a_node_that_loses_a_label_loses_the_tasks_that_need_it() -> None:
    w = World(
        make.cluster(),
        make.node("n1", labels={"disk": "ssd"}),
        make.node("n2", labels={"disk": "ssd"}),
        make.service(replicas=2, constraints=["node.labels.disk == ssd"]),
    ).settle()
    w.put(make.node("n1"))
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2", "n2"]
    stopped = next(task for task in w.tasks() if task.node_id == "n1")
    assert text(stopped.reason) == "assigned node no longer meets constraints"


def test_a_node_that_changes_its_role_loses_the_tasks_that_need_the_old_one() -> None:
    w = World(
        make.cluster(), make.node("n1", role=Role.MANAGER), make.node("n2", role=Role.MANAGER),
        make.service(replicas=2, constraints=["node.role == manager"]), make.service("s2", replicas=2),
    ).settle()  # fmt: skip
    others = [task.id for task in w.running("s2")]
    w.put(make.node("n1", role=Role.WORKER))
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2", "n2"]
    assert [task.id for task in w.running("s2")] == others


def test_new_constraints_restart_only_the_tasks_whose_node_does_not_meet_them() -> None:
    w = World(
        make.cluster(), make.node("n1", labels={"disk": "ssd"}), make.node("n2"), make.service(replicas=2)
    ).settle()
    kept = next(task for task in w.running() if task.node_id == "n1")
    w.change(replicas=2, constraints=["node.labels.disk == ssd"])
    w.wait(10)
    assert {task.node_id for task in w.running()} == {"n1"}
    assert kept.id in {task.id for task in w.running()}
    assert w.update() == "completed"
    w.change(replicas=2, constraints=["node.labels.disk == ssd", "node.role == worker"])
    w.wait(10)
    assert kept.id in {task.id for task in w.running()}
    assert w.update() == "", "nothing was to be replaced"


def test_tasks_that_only_new_constraints_exclude_are_replaced_in_their_turn() -> None:
    ssd, how = ["node.labels.disk == ssd"], make.update(order="start-first", deadline=60)
    w = World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=4, update=how)).settle()
    before = [task.id for task in w.running()]
    w.change(replicas=4, constraints=ssd, update=how)
    w.wait(61)
    assert [task.id for task in w.running()] == before, "there is no such node"
    assert w.update() == "paused"
    w.put(make.node("n3", labels={"disk": "ssd"}))
    w.change(replicas=4, constraints=ssd, labels={"again": "now"}, update=how)
    for _ in range(100):
        w.round()
        assert {task.slot for task in w.running()} == {1, 2, 3, 4}
        w.agents()
    assert [task.node_id for task in w.running()] == ["n3"] * 4


def test_slots_whose_waiting_task_new_constraints_replace_count_as_updated() -> None:
    big, how = Reservations(memory_bytes=5 * make.GIB), make.update(2, order="stop-first")
    w = world(replicas=5, update=how, reserve=big)
    assert len(w.running()) == 3
    w.change(replicas=5, update=how, reserve=big, constraints=["node.labels.disk == ssd"])
    w.settle()

    assert [task.revision for task in w.running()] == [1, 1, 1]  # the two slots that do not run come first


def test_a_node_that_breaks_the_newer_of_two_constraints_loses_the_task_by_an_update() -> None:
    both = {"disk": "ssd", "zone": "a"}
    w = World(
        make.cluster(), make.node("n1", labels=both), make.node("n2", labels=both), make.service(replicas=2)
    ).settle()
    w.change(replicas=2, constraints=["node.labels.zone == a"])
    w.settle()
    assert {task.revision for task in w.running()} == {1}
    w.put(make.node("n1", labels={"disk": "ssd"}))
    w.wait(10)
    assert [task.node_id for task in w.running()] == ["n2", "n2"]


def test_the_history_of_a_slot_is_limited() -> None:
    w = World(make.cluster(task_history=3), make.node("n1"), make.service(restart=make.restart(delay=0)))
    w.settle()
    for _ in range(6):
        w.tell(w.going()[0].id, TaskState.FAILED)
        w.wait(70)
    assert len(w.tasks()) == 3
    assert len(w.running()) == 1


def test_a_status_without_its_task_is_deleted() -> None:
    w = World(make.cluster(), make.status("gone"))
    w.decide()
    assert not w.state.statuses


def test_old_revisions_are_forgotten_but_for_the_history() -> None:
    w = world()
    for number in range(15):
        w.change(labels={"n": str(number)})
        w.settle()
    assert len(w.state.revisions_of("s1")) == 11
    assert 1 in w.state.revisions_of("s1"), "the running task is of revision 1"


def test_a_task_that_waits_for_a_node_is_placed_by_the_constraints_there_are_now() -> None:
    w = world(replicas=1, constraints=["node.labels.disk == ssd"])
    assert w.running() == []
    w.change(replicas=1)
    w.settle()
    assert [task.revision for task in w.running()] == [2]
