"""The scheduler while the cluster changes: nodes come, services grow, resources go away."""

from __future__ import annotations

from collections import Counter

from api.reasons.reason_text import text
from api.service.placement import Placement, Preference, SpreadOver
from api.service.resources import DiscreteResource, GenericResource, Reservations
from api.states import NodeState, TaskState
from tests import make
from tests.manager.world import World


def spread(*over: str) -> Placement:
    return Placement(preferences=[Preference(SpreadOver(key)) for key in over])


def ssds(number: int) -> list[GenericResource]:
    return [GenericResource(discrete_resource_spec=DiscreteResource("ssd", number))]


def test_a_waiting_task_is_placed_as_soon_as_a_node_is_ready() -> None:
    w = World(make.cluster(), make.node("n1", state=NodeState.UNKNOWN), make.service()).decide()
    assert "no suitable node" in text(w.tasks()[0].reason)
    w.regain("n1")
    w.decide()
    assert (w.tasks()[0].node_id, text(w.tasks()[0].reason)) == ("n1", "")


def test_a_waiting_task_is_placed_when_a_bigger_node_joins() -> None:
    big = Reservations(memory_bytes=4 * make.GIB)
    w = World(make.cluster(), make.node("n1", memory=2 * make.GIB), make.service(reserve=big)).decide()
    assert text(w.tasks()[0].reason) == "no suitable node (insufficient resources on 1 node)"
    w.put(make.node("n2", memory=8 * make.GIB))
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2"]


def test_a_new_node_makes_room_under_the_most_replicas_per_node() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(replicas=2, placement=Placement(max_replicas=1))).settle()
    assert len(w.running()) == 1
    w.put(make.node("n2"))
    w.settle()
    assert {task.node_id for task in w.running()} == {"n1", "n2"}


def test_growing_with_nested_preferences_keeps_the_balance_and_ends() -> None:
    places = {"n1": ("a", "1"), "n2": ("a", "2"), "n3": ("b", "1"), "n4": ("b", "2"), "n5": ("b", "2")}
    nodes = [make.node(id, labels={"az": az, "rack": rack}) for id, (az, rack) in places.items()]
    over = spread("node.labels.az", "node.labels.rack")
    w = World(make.cluster(), *nodes, make.service(replicas=3, placement=over)).settle()
    for replicas in (5, 8, 12, 20):
        w.change(replicas=replicas, placement=over)
        w.settle()
        zones = Counter(places[task.node_id][0] for task in w.running())
        assert len(w.running()) == replicas
        assert max(zones.values()) - min(zones.values()) <= 1
    racks = Counter(places[task.node_id] for task in w.running())
    assert racks[("b", "1")] == racks[("b", "2")] == 5


def test_growing_fills_the_nodes_with_the_fewest() -> None:
    w = World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=4)).settle()
    w.put(make.node("n3"))
    w.change(replicas=6)
    w.settle()
    assert Counter(task.node_id for task in w.running()) == {"n1": 2, "n2": 2, "n3": 2}


def test_a_waiting_task_of_an_old_revision_is_given_up_by_the_update() -> None:
    w = World(
        make.cluster(), make.node("n1"),
        make.service(replicas=2, placement=Placement(max_replicas=1), update=make.update(order="start-first")),
    ).settle()  # fmt: skip
    waiting = next(task for task in w.going() if task.state is TaskState.PENDING)
    w.change(replicas=2, image="web:2", placement=Placement(max_replicas=3), update=make.update(order="start-first"))
    w.wait(60)
    assert [task.revision for task in w.running()] == [2, 2]
    assert w.state.tasks[waiting.id].desired is TaskState.SHUTDOWN
    assert (w.state.tasks[waiting.id].node_id, w.update()) == ("", "completed")


def test_failures_of_an_old_revision_do_not_count_against_a_node() -> None:
    at_once = make.restart(delay=0)
    w = World(make.cluster(), make.node("n1"), make.service(restart=at_once)).settle()
    w.put(make.node("n2"), make.service("s2", replicas=3, constraints=["node.hostname == n2"]))
    for _ in range(5):
        assert [task.node_id for task in w.running()] == ["n1"], "n2 is the fuller one"
        w.tell(w.running()[0].id, TaskState.FAILED)
        w.wait(1)
    assert [task.node_id for task in w.running()] == ["n2"], "n1 is faulty now"
    w.change(image="web:2", restart=at_once)
    w.wait(20)
    assert [(task.revision, task.node_id) for task in w.running()] == [(2, "n1")]
