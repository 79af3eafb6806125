"""Global services: one task on every node that can take one."""

from __future__ import annotations

from api.objects.kinds import TASK
from api.states import Availability, TaskState
from tests import make
from tests.manager.world import World


def world(**fields: object) -> World:
    return World(
        make.cluster(), make.node("n1"), make.node("n2"), make.service(mode=make.global_mode(), **fields)
    ).settle()


def nodes(w: World) -> list[str]:
    return [task.node_id for task in w.running()]


def test_every_node_gets_a_task() -> None:
    assert nodes(world()) == ["n1", "n2"]


def test_a_new_node_gets_a_task() -> None:
    w = world()
    w.put(make.node("n3"))
    w.settle()
    assert nodes(w) == ["n1", "n2", "n3"]


def test_a_removed_node_s_task_is_forgotten() -> None:
    w = world()
    w.remove_node("n2")
    w.settle()
    assert [task.node_id for task in w.tasks()] == ["n1"]


def test_a_service_that_is_added_later_gets_a_task_on_every_node_too() -> None:
    w = world()
    before = [task.id for task in w.running()]
    w.put(make.service("s2", mode=make.global_mode()))
    w.settle()
    assert [task.node_id for task in w.running("s2")] == ["n1", "n2"]
    assert [task.id for task in w.running()] == before


def test_a_task_deleted_by_hand_is_made_anew() -> None:
    w = world()
    gone = w.running()[0]
    w.delete(TASK, gone.id)
    w.settle()
    assert nodes(w) == ["n1", "n2"]
    assert gone.id not in w.state.tasks


def test_draining_stops_the_task_and_activating_brings_it_back() -> None:
    w = world()
    w.put(make.node("n2", availability=Availability.DRAIN))
    w.settle()
    assert nodes(w) == ["n1"]
    w.put(make.node("n2"))
    w.settle()
    assert nodes(w) == ["n1", "n2"]


def test_a_paused_node_keeps_its_task_and_gets_no_new_one() -> None:
    w = world()
    before = [task.id for task in w.running()]
    w.put(make.node("n2", availability=Availability.PAUSE), make.node("n3", availability=Availability.PAUSE))
    w.settle()
    assert nodes(w) == ["n1", "n2"]
    assert [task.id for task in w.running()] == before


def test_a_lost_node_gets_its_task_again_when_it_is_back() -> None:
    w = world()
    w.lose("n2")
    w.settle()
    assert nodes(w) == ["n1"]
    w.regain("n2")
    w.settle()
    assert nodes(w) == ["n1", "n2"]


def test_a_node_that_was_away_for_long_ends_its_old_task_before_it_gets_another() -> None:
    w = world()
    old = w.running()[1]
    w.lose("n2")
    w.wait(600)
    w.regain("n2")
    w.decide()
    assert [task.node_id for task in w.going()] == ["n1"], "the old container is only now being stopped"
    w.settle()
    assert nodes(w) == ["n1", "n2"]
    assert w.state.task_state(w.state.tasks[old.id]) is TaskState.SHUTDOWN


def test_a_node_that_is_back_and_never_ends_its_old_task_is_waited_for_as_long_as_any_other() -> None:
    w = world()
    w.lose("n2")
    w.wait(600)
    w.regain("n2")
    w.decide()
    w.now += 69
    w.decide()
    assert [task.node_id for task in w.going()] == ["n1"]
    w.now += 2
    w.decide()
    assert [task.node_id for task in w.going()] == ["n1", "n2"]


def test_only_nodes_that_meet_the_constraints_get_a_task() -> None:
    w = world(constraints=["node.hostname != n2"])
    assert nodes(w) == ["n1"]


def test_a_node_that_new_constraints_exclude_loses_its_task_at_once_and_gets_it_back_with_the_old_ones() -> None:
    w = world()
    first = [task.id for task in w.running()]
    w.change(mode=make.global_mode(), constraints=["node.hostname != n2"])
    w.settle()
    assert [task.id for task in w.running()] == first[:1]
    w.change(mode=make.global_mode(), constraints=["node.id==none"])
    w.settle()
    assert w.running() == []
    w.change(mode=make.global_mode())
    w.settle()
    assert nodes(w) == ["n1", "n2"]


def test_a_failed_task_is_restarted_on_its_node() -> None:
    w = world(restart=make.restart("any", delay=2))
    w.tell(w.running()[0].id, TaskState.FAILED)
    w.wait(1)
    assert nodes(w) == ["n2"]
    w.wait(2)
    assert nodes(w) == ["n1", "n2"]


def test_one_of_two_tasks_on_a_node_goes() -> None:
    w = World(
        make.cluster(),
        make.node("n1"),
        *make.decided_service(mode=make.global_mode()),
        make.task("a", slot=0, node_id="n1", state=TaskState.ASSIGNED),
        make.task("b", slot=0, node_id="n1", state=TaskState.ASSIGNED),
        make.status("b", TaskState.RUNNING),
    ).settle()
    assert [task.id for task in w.running()] == ["b"]


def test_an_update_goes_node_by_node_and_leaves_out_paused_ones() -> None:
    w = world()
    w.put(make.node("n2", availability=Availability.PAUSE))
    w.change(mode=make.global_mode(), image="web:2")
    w.wait(30)
    assert [task.revision for task in w.running()] == [2, 1]
    assert w.update() == "completed"
    w.put(make.node("n2"))
    w.wait(30)
    assert [task.revision for task in w.running()] == [2, 2]
    assert w.update() == "completed"
