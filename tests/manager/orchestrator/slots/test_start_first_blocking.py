"""Start-first where the slot's own old task is in the way of the new one: then that slot is done stop-first."""

from __future__ import annotations

from typing import Any

import pytest

from api.objects.kinds import NODE
from api.reasons.reason_text import text
from api.service.placement import Placement
from api.service.resources import DiscreteResource, GenericResource, NamedResource, Reservations
from api.service.service_spec import NetworkTarget
from api.states import Availability, TaskState
from manager.orchestrator.slots.start_first_blocking import YIELDS
from tests import make
from tests.manager.world import World

GPU = GenericResource(named_resource_spec=NamedResource("gpu", "one"))
SSD = GenericResource(discrete_resource_spec=DiscreteResource("ssd", 1))
START_FIRST = make.update(order="start-first")

KINDS: dict[str, dict[str, Any]] = {
    "host port": {"replicas": 2, "ports": [make.port(8000, mode="host")]},
    "host port of a global service": {"mode": make.global_mode(), "ports": [make.port(8000, mode="host")]},
    "most per node": {"replicas": 2, "placement": Placement(max_replicas=1)},
    "named device": {"replicas": 2, "reserve": Reservations(generic_resources=[GPU])},
    "counted devices": {"replicas": 2, "reserve": Reservations(generic_resources=[SSD])},
    "memory": {"replicas": 2, "reserve": Reservations(memory_bytes=5 * make.GIB)},
    "cpus": {"replicas": 2, "reserve": Reservations(nano_cpus=3 * make.CPU)},
    "last address": {"replicas": 2, "networks": ["tiny"]},
}


def world(nodes: int = 2, **fields: Any) -> World:
    rows = [make.node(f"n{n + 1}", generic=[GPU, SSD]) for n in range(nodes)]
    tiny = make.network("tiny", subnet="10.9.0.0/28", ip_range="10.9.0.0/29")
    return World(make.cluster(), make.ingress(), tiny, *rows, make.service(update=START_FIRST, **fields)).settle()


def fewest_at_once(w: World, **fields: Any) -> int:
    """Update, and tell how many tasks ran at the worst moment."""
    w.change(update=START_FIRST, **fields, image="web:2")
    fewest = len(w.running())
    for _ in range(40):
        w.decide()
        w.agents()
        fewest = min(fewest, len(w.running()))
        w.now += 0.5
        w.settle()
    return fewest


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_whose_old_task_is_in_the_way_is_done_stop_first(kind: str) -> None:
    fields = KINDS[kind]
    w = world(**fields)
    before = len(w.running())
    assert before == fields.get("replicas", 2)

    fewest_at_once(w, **fields)
    w.wait(30)

    assert w.update() == "completed"
    assert {task.revision for task in w.running()} == {2}
    assert len(w.running()) == before
    assert {text(task.reason) for task in w.tasks() if task.revision == 1} == {text(YIELDS)}


def test_one_slot_at_a_time_yields() -> None:
    w = world(**KINDS["host port"])
    w.change(update=START_FIRST, **KINDS["host port"], image="web:2")
    for _ in range(6):
        w.round()

    yielding = [task for task in w.tasks() if task.reason == YIELDS]
    assert len(yielding) == 1
    assert len(w.running()) == 1


def with_replacements_that_wait(kind: str, parallelism: int) -> World:
    """An update in which no old task has been stopped yet, though each is in the way of the new one."""
    w = world(**KINDS[kind])
    w.change(update=make.update(parallelism, order="start-first"), **KINDS[kind], image="web:2")
    while not [task for task in w.tasks() if task.revision == 2 and task.reason]:
        w.round()
    assert len(w.running()) == 2
    return w


def test_no_more_slots_yield_than_the_parallelism_that_holds_now() -> None:
    w = with_replacements_that_wait("most per node", parallelism=2)
    w.change(update=START_FIRST, **KINDS["most per node"], image="web:2")
    for _ in range(6):
        w.round()

    assert len(w.running()) == 1
    w.wait(30)
    assert (w.update(), [task.revision for task in w.running()]) == ("completed", [2, 2])


def test_slots_that_are_down_anyway_count_against_those_that_yield() -> None:
    w = with_replacements_that_wait("most per node", parallelism=2)
    w.change(update=make.update(2, order="start-first"), **KINDS["most per node"] | {"replicas": 4}, image="web:2")
    for _ in range(6):
        w.round()

    assert len(w.running()) == 2
    assert YIELDS not in [task.reason for task in w.tasks()]


def test_nothing_yields_to_a_task_that_waits_under_an_old_placement() -> None:
    w = with_replacements_that_wait("most per node", parallelism=2)

    assert fewest_at_once(w, replicas=2) == 2
    w.wait(30)

    assert w.update() == "completed"
    assert YIELDS not in [task.reason for task in w.tasks()]


def test_nothing_yields_where_another_node_has_room() -> None:
    w = world(nodes=3, **KINDS["most per node"])

    assert fewest_at_once(w, **KINDS["most per node"]) == 2
    w.wait(30)

    assert w.update() == "completed"
    assert YIELDS not in [task.reason for task in w.tasks()]


def test_nothing_yields_where_the_old_task_is_not_the_reason_and_the_update_pauses_with_it() -> None:
    w = world(replicas=2)
    update = make.update(order="start-first", deadline=20)
    w.change(replicas=2, update=update, image="web:2", reserve=Reservations(memory_bytes=100 * make.GIB))
    w.wait(60)

    assert w.update() == "paused"
    assert [task.revision for task in w.running()] == [1, 1]
    decided = w.state.service_decisions["s1"].update
    assert decided is not None
    assert "no suitable node (insufficient resources on 2 nodes)" in text(decided.reason)


def test_what_is_in_the_way_may_become_the_old_task_alone_later() -> None:
    w = world(replicas=1, reserve=Reservations(memory_bytes=5 * make.GIB))
    w.put(make.service("s2", name="other", replicas=1, reserve=Reservations(memory_bytes=5 * make.GIB)))
    w.settle()
    w.change(update=START_FIRST, replicas=1, image="web:2", reserve=Reservations(memory_bytes=7 * make.GIB))
    w.settle()

    w.wait(15)

    assert (w.update(), [task.revision for task in w.running()]) == ("completed", [2])


def test_a_drain_whose_task_has_the_only_address_is_done_stop_first() -> None:
    own = [NetworkTarget("tiny", ipv4_address="10.9.0.5")]
    w = World(
        make.cluster(), make.ingress(), make.network("tiny", subnet="10.9.0.0/24"),
        make.node("n1"), make.node("n2"), make.service(replicas=1, networks=own),
    ).settle()  # fmt: skip
    [old] = w.running()
    drained = make.node(old.node_id, availability=Availability.DRAIN)
    w.put((NODE, old.node_id, drained[0][2]))
    w.wait(30)

    [new] = w.running()
    assert new.node_id != old.node_id
    assert w.state.task_state(w.state.tasks[old.id]) is TaskState.SHUTDOWN
    assert new.addresses == old.addresses


def test_a_drain_takes_nothing_down_while_more_is_down_than_the_parallelism() -> None:
    fields = KINDS["last address"]
    w = world(**fields)
    w.put((NODE, "n1", make.node("n1", availability=Availability.DRAIN)[0][2]))
    while not [task for task in w.tasks() if task.replaces and task.reason]:
        w.round()
    w.change(update=START_FIRST, **fields | {"replicas": 4})
    w.wait(30)
    assert len(w.running()) == 2
    assert YIELDS not in [task.reason for task in w.tasks()]

    w.change(update=START_FIRST, **fields)
    w.wait(30)
    assert {task.node_id for task in w.running()} == {"n2"}
    assert len(w.running()) == 2
