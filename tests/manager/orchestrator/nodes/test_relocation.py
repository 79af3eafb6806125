"""Moves: drained nodes are left without a gap where the service allows it, and new nodes get their share."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from api.objects.decided import NodeDecision
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NODE_DECISION
from api.objects.wanted import Cluster
from api.reasons.reason_text import text
from api.service.container import Mount
from api.service.mode import Mode, ReplicatedJob
from api.service.placement import Placement, Preference, SpreadOver
from api.service.resources import Reservations
from api.states import Availability, NodeState, TaskState
from manager.orchestrator.nodes.relocation import WAITS, starts_first
from tests import make
from tests.manager.world import World


def world(replicas: int = 6, nodes: int = 3, **fields: object) -> World:
    return World(
        make.cluster(), *[make.node(f"n{n + 1}") for n in range(nodes)], make.service(replicas=replicas, **fields)
    ).settle()


def drain(w: World, node: str, availability: Availability = Availability.DRAIN) -> None:
    w.put(make.node(node, availability=availability)[:2])


def on(w: World, node: str) -> int:
    return sum(task.node_id == node for task in w.running())


def least_while(w: World, steps: int = 60) -> int:
    """Fewest running tasks while leader and agents work."""
    least = len(w.running())
    for _ in range(steps):
        w.round()
        least = min(least, len(w.running()))
        w.agents()
        least = min(least, len(w.running()))
    return least


# ── drain ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drain_starts_replacements_first_where_tasks_share_nothing() -> None:
    w = world()
    drain(w, "n1")
    assert least_while(w) == 6
    assert (on(w, "n1"), on(w, "n2"), on(w, "n3")) == (0, 3, 3)
    assert len(w.going()) == 6


def test_a_drain_stops_first_where_the_update_order_says_so() -> None:
    w = world(update=make.update(order="stop-first"))
    drain(w, "n1")
    assert least_while(w) == 5
    assert (on(w, "n1"), len(w.running())) == (0, 6)


def test_a_drain_moves_as_many_at_once_as_the_update_s_parallelism_says() -> None:
    w = world(12, update=make.update(parallelism=3, order="stop-first"))
    drain(w, "n1")
    w.decide()
    assert len([t for t in w.tasks() if t.desired is TaskState.SHUTDOWN]) == 3
    assert least_while(w) == 9
    assert (on(w, "n1"), len(w.running())) == (0, 12)


def test_a_drain_that_starts_first_moves_as_many_at_once_too_and_never_has_less_than_all_running() -> None:
    w = world(12, update=make.update(parallelism=3, order="start-first"))
    drain(w, "n1")
    w.decide()
    assert len([task for task in w.going() if task.replaces]) == 3
    for _ in range(60):
        w.round()
        assert len({task.slot for task in w.running()}) == 12
        assert len(w.going()) <= 15
        w.agents()
    assert (on(w, "n1"), len(w.going())) == (0, 12)


def test_tasks_that_have_nowhere_to_go_stay_and_say_why() -> None:
    w = world(3, placement=Placement(max_replicas=1))
    drain(w, "n1")
    w.wait(1000)
    assert len(w.running()) == 3
    assert next(task for task in w.running() if task.node_id == "n1").reason == WAITS
    waiting = next(task for task in w.going() if task.state < TaskState.ASSIGNED)
    assert "max replicas per node limit exceed" in text(waiting.reason)
    w.put(make.node("n4"))
    w.settle()
    assert {task.node_id for task in w.going()} == {"n2", "n3", "n4"}


def test_a_drain_that_is_called_off_forgets_replacements_without_a_place() -> None:
    w = world(3, placement=Placement(max_replicas=1))
    drain(w, "n1")
    w.settle()
    assert len(w.going()) == 4
    drain(w, "n1", Availability.ACTIVE)
    w.settle()
    assert len(w.going()) == len(w.running()) == 3


def test_a_replacement_that_fails_is_tried_again_as_the_restart_policy_says_and_the_old_task_goes_on() -> None:
    w = world(1, 2, restart=make.restart(delay=5))
    old = w.running()[0]
    drain(w, old.node_id)
    w.decide()
    w.tell(w.going()[-1].id, TaskState.FAILED)
    w.decide()
    assert w.running() == [w.state.tasks[old.id]]
    w.wait(4)
    assert len(w.going()) == 1
    w.wait(2)
    assert [task.replaces for task in w.running()] == [old.id]
    assert w.running()[0].node_id != old.node_id


def test_jobs_and_global_services_leave_a_drained_node_at_once() -> None:
    w = World(
        make.cluster(), make.node("n1"), make.node("n2"),
        make.service("s1", mode=Mode(replicated_job=ReplicatedJob(4, 4))),
        make.service("s2", mode=make.global_mode()),
    ).settle()  # fmt: skip
    drain(w, "n1")
    w.settle()
    assert {task.node_id for task in w.running()} == {"n2"}
    assert [task.node_id for task in w.running("s2")] == ["n2"]


def test_a_drained_node_that_goes_down_is_left_at_once() -> None:
    w = world()
    drain(w, "n1")
    w.decide()
    w.lose("n1")
    w.settle()
    assert on(w, "n1") == 0
    assert len(w.running()) == 6


def test_a_new_leader_goes_on_with_a_drain_wherever_it_was() -> None:
    for step in range(1, 12):
        w = world()
        drain(w, "n1")
        for _ in range(step):
            w.round()
            w.agents()
        w.new_leader()
        assert least_while(w) == 6
        assert (on(w, "n1"), len(w.going())) == (0, 6)


def test_an_update_during_a_drain_replaces_every_task_once() -> None:
    w = world(update=make.update(order="start-first"))
    drain(w, "n1")
    w.decide()
    w.change(replicas=6, image="web:2", update=make.update(order="start-first"))
    assert least_while(w, 120) == 6
    w.wait(60)
    assert w.update() == "completed"
    assert (on(w, "n1"), {task.revision for task in w.running()}, len(w.going())) == (0, {2}, 6)


def test_a_slot_whose_task_stops_counts_against_an_update_though_its_replacement_has_ended() -> None:
    w = world(3, 1)
    drain(w, "n1")  # there is no other node: slot 1 has a replacement that waits
    w.decide()
    drain(w, "n1", Availability.ACTIVE)
    w.change(replicas=3, image="web:2", update=make.update(parallelism=1, order="stop-first"))
    for _ in range(20):
        w.round()
        assert len(w.running()) >= 2, "the update takes one after the other"
    w.wait(30)
    assert {task.revision for task in w.running()} == {2}


def test_which_services_start_first_on_a_drain() -> None:
    def spec(**fields: object) -> bool:
        return starts_first(make.spec(**fields))  # type: ignore[arg-type]

    assert spec()
    assert not spec(ports=[make.port(80, mode="host")])
    assert spec(ports=[make.port(80, mode="host")], update=make.update(order="start-first"))
    assert not spec(update=make.update(order="stop-first"))
    plain = make.spec()
    for mount, first in ((Mount("volume", "data", "/data"), False), (Mount("tmpfs", "", "/tmp"), True)):
        container = plain.task_template.container_spec
        changed = replace(
            plain, task_template=replace(plain.task_template, container_spec=replace(container, mounts=[mount]))
        )
        assert starts_first(changed) is first


# ── balance ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tasks_move_to_a_node_that_joins_one_at_a_time_until_the_spread_is_even() -> None:
    w = world(8, 2, rebalance=True)
    w.put(make.node("n3"))
    most = 0
    for _ in range(80):
        w.round()
        most = max(most, len(w.going()))
        assert len(w.running()) >= 8
        w.agents()
    assert most == 9
    assert sorted(on(w, f"n{n}") for n in (1, 2, 3)) == [2, 3, 3]
    assert len(w.going()) == 8
    w.wait(1000)
    assert sorted(on(w, f"n{n}") for n in (1, 2, 3)) == [2, 3, 3]


def test_tasks_come_back_to_a_node_that_returns_and_stays() -> None:
    w = world(6, 3, rebalance=True)
    w.lose("n1")
    w.settle()
    w.regain("n1")
    w.settle()
    assert on(w, "n1") == 0, "it has to be there for a while first"
    w.wait(11)
    assert [on(w, f"n{n}") for n in (1, 2, 3)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("service", "of_cluster", "moves"),
    [({}, {}, False), ({}, {"argosy.rebalance": "true"}, True), ({"argosy.rebalance": "true"}, {}, True),
     ({"argosy.rebalance": "false"}, {"argosy.rebalance": "true"}, False)],
)  # fmt: skip
def test_services_and_the_cluster_opt_in_by_label(
    service: dict[str, str], of_cluster: dict[str, str], moves: bool
) -> None:
    w = world(6, 2, labels=service)
    w.put((CLUSTER, DEFAULT_CLUSTER, Cluster(id="c", labels=of_cluster)))
    w.put(make.node("n3"))
    w.wait(60)
    assert (on(w, "n3") == 2) is moves


def test_the_cluster_does_not_opt_in_for_services_that_may_not_have_two_tasks_in_a_slot() -> None:
    w = world(6, 2, update=make.update(order="stop-first"))
    w.put((CLUSTER, DEFAULT_CLUSTER, Cluster(id="c", labels={"argosy.rebalance": "true"})))
    w.put(make.node("n3"))
    w.wait(60)
    assert on(w, "n3") == 0


def test_services_that_spread_over_labels_are_left_alone() -> None:
    over = Placement(preferences=[Preference(SpreadOver("node.labels.az"))])
    w = world(6, 2, rebalance=True, placement=over)
    w.put(make.node("n3"))
    w.wait(60)
    assert on(w, "n3") == 0


def test_a_move_that_finds_no_room_is_given_up_for_a_while() -> None:
    w = world(6, 2, rebalance=True, reserve=Reservations(memory_bytes=make.GIB))
    w.put(make.node("n3", memory=make.GIB // 2))
    w.wait(30)
    assert len(w.going()) == 7
    w.wait(40)
    assert len(w.going()) == len(w.running()) == 6
    w.wait(200)
    assert len(w.going()) == 6


def test_a_new_leader_goes_on_with_a_move_wherever_it_was() -> None:
    for step in range(1, 10):
        w = world(6, 2, rebalance=True)
        w.put(make.node("n3"))
        for _ in range(step):
            w.round()
            w.agents()
        w.new_leader()
        assert least_while(w, 80) == 6
        assert [on(w, f"n{n}") for n in (1, 2, 3)] == [2, 2, 2]
        assert len(w.going()) == 6


def test_a_node_that_has_just_come_back_is_waited_for() -> None:
    w = world(4, 1, rebalance=True)
    w.put(make.node("n2"), (NODE_DECISION, "n2", NodeDecision(NodeState.READY, since=w.now)))
    w.wait(9)
    assert on(w, "n2") == 0
    w.wait(2)
    assert on(w, "n2") == 2


def test_balance_waits_for_a_node_whose_state_is_decided_in_the_same_round() -> None:
    w = world(4, 1, rebalance=True)
    w.put(make.node("n2", NodeState.UNKNOWN)[:2])
    w.regain("n2")
    w.wait(30)
    assert (on(w, "n1"), on(w, "n2")) == (2, 2)


def test_a_node_that_goes_down_while_another_joins_has_nothing_to_move() -> None:
    w = world(6, 2, rebalance=True)
    w.lose("n1")
    w.put(make.node("n3"))
    w.wait(60)
    assert (on(w, "n1"), on(w, "n2"), on(w, "n3")) == (0, 3, 3)
