"""Placement: which node a pending task gets, and what it says when none takes it."""

from __future__ import annotations

import pytest

from api.objects.kinds import DESCRIPTION, NODE, TASK
from api.reasons.reason_text import text
from api.service.host_config import DeviceRequest, HostConfig
from api.service.placement import Placement, Platform, Preference, SpreadOver
from api.service.ports import PortConfig
from api.service.resources import DiscreteResource, GenericResource, NamedResource, Reservations
from api.states import Availability, NodeState, TaskState
from manager.scheduler.filters import Pipeline
from manager.scheduler.task_group import Candidate
from tests import make
from tests.manager.scheduler.placing import again, messages, pending, per_node, plan, schedule
from tests.manager.world import apply_plan


def test_tasks_are_spread_evenly() -> None:
    state = schedule(*[make.node(f"n{n}") for n in range(3)], *make.decided_service(), *pending("s1", 7))
    assert sorted(per_node(state).values()) == [2, 2, 3]
    assert {task.state for task in state.tasks.values()} == {TaskState.ASSIGNED}


def test_the_service_s_own_count_comes_before_the_total() -> None:
    state = schedule(
        make.node("n1"),
        make.node("n2"),
        *make.decided_service("a"),
        *make.decided_service("b"),
        *[make.task(f"x{n}", "a", slot=n, node_id="n1", state=TaskState.ASSIGNED) for n in range(1, 6)],
        make.task("y", "b", slot=9, node_id="n2", state=TaskState.ASSIGNED),
        *pending("b", 1),
    )
    assert state.tasks["b-001"].node_id == "n1"


def test_with_equal_counts_of_the_service_the_emptier_node_is_taken() -> None:
    state = schedule(
        make.node("n1"),
        make.node("n2"),
        *make.decided_service("a"),
        *make.decided_service("b"),
        make.task("x", "a", node_id="n1", state=TaskState.ASSIGNED),
        *pending("b", 1),
    )
    assert state.tasks["b-001"].node_id == "n2"


def test_without_nodes_the_task_says_so() -> None:
    state = schedule(*make.decided_service(), *pending("s1", 1))
    assert messages(state) == {"no suitable node"}


def test_nodes_that_are_not_ready_or_not_active_take_nothing_new() -> None:
    state = schedule(
        make.node("n1", state=NodeState.DOWN),
        make.node("n2", availability=Availability.PAUSE),
        make.node("n3", availability=Availability.DRAIN),
        make.node("n4", state=NodeState.UNKNOWN),
        *make.decided_service(),
        *pending("s1", 2),
    )
    assert messages(state) == {"no suitable node (4 nodes not available for new tasks)"}
    make.apply(state, make.node("n1"))
    assert per_node(again(state)) == {"n1": 2}


def test_nodes_that_come_go_down_or_are_removed_are_followed() -> None:
    state = schedule(make.node("n1"), *make.decided_service(), *pending("s1", 3))
    assert per_node(state) == {"n1": 3}
    make.apply(state, make.node("n2"), *pending("s1", 1, start=4))
    assert again(state).tasks["s1-004"].node_id == "n2"
    make.apply(state, make.node("n2", state=NodeState.DOWN), *pending("s1", 1, start=5))
    assert again(state).tasks["s1-005"].node_id == "n1"
    make.apply(state, make.node("n2"), make.node("n3"))
    make.apply(state, *[(kind, "n2", None) for kind, _, _ in make.node("n2")], *pending("s1", 1, start=6))
    assert again(state).tasks["s1-006"].node_id == "n3"


def test_two_services_that_grow_in_turn_fill_the_nodes_that_have_least_of_each() -> None:
    state = schedule(
        *[make.node(f"n{n}") for n in range(1, 6)],
        *make.decided_service("a"),
        *make.decided_service("b"),
        *pending("a", 18),
    )
    fewest = {node for node, number in per_node(state, "a").items() if number == 3}
    assert sorted(per_node(state, "a").values()) == [3, 3, 4, 4, 4]
    make.apply(state, *pending("b", 2))
    assert per_node(again(state), "b") == dict.fromkeys(fewest, 1)
    make.apply(state, *pending("a", 3, start=19))
    full = {node for node, number in per_node(again(state), "a").items() if number == 5}
    assert sorted(per_node(state, "a").values()) == [4, 4, 4, 4, 5]
    assert not full & fewest
    make.apply(state, *pending("b", 2, start=3))
    assert set(per_node(again(state), "b")) == {"n1", "n2", "n3", "n4", "n5"} - full


def test_every_reason_is_told_the_most_frequent_first() -> None:
    state = schedule(
        make.node("n1", state=NodeState.DOWN),
        make.node("n2"),
        make.node("n3"),
        *make.decided_service(constraints=["node.labels.a == b"]),
        *pending("s1", 1),
    )
    assert messages(state) == {
        "no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)"
    }


def test_reservations_must_fit() -> None:
    state = schedule(
        make.node("n1", cpus=2),
        make.node("n2", memory=make.GIB),
        *make.decided_service(reserve=Reservations(make.CPU, 2 * make.GIB)),
        *pending("s1", 3),
    )
    assert per_node(state) == {"n1": 2}
    assert "no suitable node (insufficient resources on 2 nodes)" in messages(state)
    make.apply(state, make.node("n3"))
    assert per_node(again(state)) == {"n1": 2, "n3": 1}


def test_room_comes_before_evenness() -> None:
    state = schedule(
        make.node("n1", memory=make.GIB),
        make.node("n2", memory=8 * make.GIB),
        *make.decided_service(reserve=Reservations(memory_bytes=make.GIB)),
        *pending("s1", 6),
    )
    assert per_node(state) == {"n1": 1, "n2": 5}


def test_ended_tasks_take_no_resources() -> None:
    rows = [
        make.node("n1", memory=make.GIB),
        *make.decided_service(reserve=Reservations(memory_bytes=make.GIB)),
        make.task("old", slot=1, node_id="n1", state=TaskState.ASSIGNED),
        *pending("s1", 1, start=2),
    ]
    state = schedule(*rows)
    assert per_node(state) == {"n1": 1}
    make.apply(state, make.status("old", TaskState.FAILED))
    again(state)
    assert state.tasks["s1-002"].node_id == "n1"
    assert schedule(*rows, make.status("old", TaskState.COMPLETE)).tasks["s1-002"].node_id == "n1", "found so at start"


def test_generic_resources_are_counted_or_given_by_name() -> None:
    gpus = [GenericResource(named_resource_spec=NamedResource("gpu", f"uuid{n}")) for n in (1, 2)]
    ssds = [GenericResource(discrete_resource_spec=DiscreteResource("ssd", 3))]
    wanted = [
        GenericResource(discrete_resource_spec=DiscreteResource("gpu", 1)),
        GenericResource(discrete_resource_spec=DiscreteResource("ssd", 1)),
    ]
    state = schedule(
        make.node("n1", generic=[*gpus, *ssds]),
        *make.decided_service(reserve=Reservations(generic_resources=wanted)),
        *pending("s1", 3),
    )
    assert per_node(state) == {"n1": 2}
    assert "no suitable node (insufficient resources on 1 node)" in messages(state)
    given = [
        g.named_resource_spec.value for t in state.tasks.values() for g in t.generic_resources if g.named_resource_spec
    ]
    assert sorted(given) == ["uuid1", "uuid2"]
    ended = next(task for task in state.tasks.values() if task.node_id)
    held = {g.named_resource_spec.value for g in ended.generic_resources if g.named_resource_spec}
    make.apply(state, make.status(ended.id, TaskState.FAILED))
    again(state)
    waiting = state.tasks["s1-003"]
    assert {g.named_resource_spec.value for g in waiting.generic_resources if g.named_resource_spec} == held


def test_host_ports_are_taken_once_per_node_and_protocol() -> None:
    state = schedule(
        make.node("n1"),
        make.node("n2"),
        *make.decided_service("a", ports=[make.port(53, mode="host", protocol="udp")]),
        *make.decided_service("b", ports=[make.port(53, mode="host")]),
        *pending("a", 3),
        *pending("b", 2),
    )
    assert per_node(state, "a") == {"n1": 1, "n2": 1}
    assert per_node(state, "b") == {"n1": 1, "n2": 1}
    assert "no suitable node (host-mode port already in use on 2 nodes)" in messages(state)


def test_a_host_port_is_taken_at_its_address_only() -> None:
    def port(host_ip: str) -> list[PortConfig]:
        return [make.port(53, mode="host", host_ip=host_ip)]

    state = schedule(
        make.node("n1"),
        *make.decided_service("a", ports=port("127.0.0.1")),
        *make.decided_service("b", ports=port("10.0.0.1")),
        *make.decided_service("c", ports=port("127.0.0.1")),
        *make.decided_service("d", ports=port("")),
        *(item for name in "abcd" for item in pending(name, 1)),
    )
    assert [per_node(state, name) for name in "abcd"] == [{"n1": 1}, {"n1": 1}, {}, {}]
    assert "no suitable node (host-mode port already in use on 1 node)" in messages(state)


def test_a_host_port_at_every_address_leaves_none_for_others() -> None:
    state = schedule(
        make.node("n1"),
        *make.decided_service("a", ports=[make.port(53, mode="host")]),
        *make.decided_service("b", ports=[make.port(53, mode="host", host_ip="127.0.0.1")]),
        *pending("a", 1),
        *pending("b", 1),
    )
    assert [per_node(state, name) for name in "ab"] == [{"n1": 1}, {}]


def test_the_most_replicas_per_node_are_not_exceeded() -> None:
    state = schedule(
        make.node("n1"), make.node("n2"), *make.decided_service(placement=Placement(max_replicas=1)), *pending("s1", 3)
    )
    assert per_node(state) == {"n1": 1, "n2": 1}
    assert "no suitable node (max replicas per node limit exceed)" in messages(state)
    make.apply(state, make.node("n3"))
    assert per_node(again(state)) == {"n1": 1, "n2": 1, "n3": 1}


def test_one_of_the_platforms_must_match() -> None:
    placement = Placement(platforms=[Platform("arm64", "linux"), Platform("s390x", "linux")])
    state = schedule(
        make.node("n1"),
        make.node("n2", architecture="aarch64"),
        *make.decided_service("a", placement=placement),
        *make.decided_service("b", placement=Placement(platforms=[Platform("amd64", "windows")])),
        *pending("a", 2),
        *pending("b", 1),
    )
    assert per_node(state, "a") == {"n2": 2}
    assert "no suitable node (unsupported platform on 2 nodes)" in messages(state)


def test_a_node_that_told_no_platform_takes_only_what_asks_for_none() -> None:
    state = schedule(
        make.node("n1", architecture="", os=""),
        *make.decided_service("a", placement=Placement(platforms=[Platform("amd64", "linux")])),
        *make.decided_service("b"),
        *pending("a", 1),
        *pending("b", 1),
    )
    assert per_node(state, "a") == {}
    assert per_node(state, "b") == {"n1": 1}


def spread(*keys: str) -> Placement:
    return Placement(preferences=[Preference(SpreadOver(key)) for key in keys])


def test_a_preference_spreads_over_values_even_if_they_have_different_numbers_of_nodes() -> None:
    state = schedule(
        make.node("n1", labels={"az": "a"}),
        *[make.node(f"n{n}", labels={"az": "b"}) for n in (2, 3, 4)],
        *make.decided_service(placement=spread("node.labels.az")),
        *pending("s1", 6),
    )
    assert per_node(state) == {"n1": 3, "n2": 1, "n3": 1, "n4": 1}


def test_nodes_without_the_label_are_a_part_too() -> None:
    state = schedule(
        make.node("n1", labels={"az": "a"}),
        make.node("n2"),
        *make.decided_service(placement=spread("node.labels.az")),
        *pending("s1", 4),
    )
    assert per_node(state) == {"n1": 2, "n2": 2}


def test_preferences_nest_and_what_does_not_fit_goes_on() -> None:
    state = schedule(
        make.node("n1", labels={"az": "1", "rack": "1"}, memory=5 * make.GIB),
        make.node("n2", labels={"az": "2", "rack": "1"}),
        make.node("n3", labels={"az": "2", "rack": "2"}),
        *make.decided_service(
            placement=spread("node.labels.az", "node.labels.rack"), reserve=Reservations(memory_bytes=make.GIB)
        ),
        *pending("s1", 12),
    )
    assert sorted(per_node(state).items()) == [("n1", 5), ("n2", 4), ("n3", 3)]


def test_tasks_bound_to_a_node_are_only_checked_and_come_first() -> None:
    reserve = Reservations(memory_bytes=make.GIB)
    state = schedule(
        make.node("n1", memory=make.GIB),
        *make.decided_service("a", reserve=reserve),
        *make.decided_service("b", reserve=reserve, mode=make.global_mode()),
        *pending("a", 1),
        make.task("bound", "b", slot=0, node_id="n1", state=TaskState.PENDING),
    )
    assert state.tasks["bound"].state is TaskState.ASSIGNED
    assert text(state.tasks["a-001"].reason) == "no suitable node (insufficient resources on 1 node)"


def test_a_bound_task_that_its_node_cannot_take_says_why() -> None:
    state = schedule(
        make.node("n1", state=NodeState.DOWN),
        make.node("n2"),
        *make.decided_service(mode=make.global_mode()),
        make.task("bound", slot=0, node_id="n1", state=TaskState.PENDING),
    )
    assert text(state.tasks["bound"].reason) == "no suitable node (1 node not available for new tasks)"


@pytest.mark.parametrize("desired", [TaskState.SHUTDOWN, TaskState.REMOVE])
def test_tasks_that_are_not_to_run_are_left_alone(desired: TaskState) -> None:
    state = schedule(make.node("n1"), *make.decided_service(), *pending("s1", 1, desired=desired))
    assert per_node(state) == {}
    assert state.tasks["s1-001"].state is TaskState.PENDING


def test_a_task_without_its_revision_is_left_alone() -> None:
    state = schedule(make.node("n1"), *pending("gone", 1))
    assert per_node(state) == {}


def test_tasks_that_wait_ask_only_the_nodes_that_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Pipeline.refusal

    def noted(pipeline: Pipeline, node: Candidate) -> int:
        asked.append(node.id)
        return ask(pipeline, node)

    monkeypatch.setattr(Pipeline, "refusal", noted)
    picky = make.decided_service(constraints=["node.labels.a == b"])
    state = schedule(*[make.node(f"n{number}") for number in range(5)], *picky, *pending("s1", 2))
    assert text(state.tasks["s1-001"].reason) == "no suitable node (scheduling constraints not satisfied on 5 nodes)"
    asked.clear()
    assert not plan(state).changes
    assert asked == []
    make.apply(state, (NODE, "n0", None), make.node("n1", labels={"a": "c"}), make.node("n2", state=NodeState.DOWN))
    apply_plan(state, plan(state).changes)
    assert set(asked) == {"n1", "n2"}
    assert text(state.tasks["s1-002"].reason) == (
        "no suitable node (scheduling constraints not satisfied on 3 nodes; 1 node not available for new tasks)"
    )
    make.apply(state, make.node("n2", labels={"a": "b"}))
    apply_plan(state, plan(state).changes)
    assert per_node(state) == {"n2": 2}


def test_a_deleted_task_weighs_no_more() -> None:
    state = schedule(make.node("n1"), make.node("n2"), *make.decided_service(), *pending("s1", 2))
    on_n1 = next(task for task in state.tasks.values() if task.node_id == "n1")
    make.apply(state, (TASK, on_n1.id, None), *pending("s1", 1, start=3))
    assert again(state).tasks["s1-003"].node_id == "n1"


def test_a_device_is_found_where_the_host_offers_it_and_named_where_none_does() -> None:
    asked = HostConfig(device_requests=[DeviceRequest("cdi", device_ids=["acme.com/card=a"])])
    state = schedule(
        make.node("n1"),
        make.node("n2", devices=["acme.com/card=a"]),
        *make.decided_service(host=asked),
        *pending("s1", 3),
    )
    assert per_node(state) == {"n2": 3}

    state = schedule(make.node("n1"), make.node("n2"), *make.decided_service(host=asked), *pending("s1", 1))
    assert messages(state) == {"no suitable node (acme.com/card=a not offered on 2 nodes)"}
    make.apply(state, (DESCRIPTION, "n1", make.description("n1", devices=["acme.com/card=a"])))
    assert per_node(again(state)) == {"n1": 1}
