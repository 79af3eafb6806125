"""A node that has less than before keeps the tasks that still fit, oldest first."""

from __future__ import annotations

import pytest

from api.reasons.reason_text import text
from api.service.resources import DiscreteResource, GenericResource, NamedResource, Reservations
from tests import make
from tests.manager.world import World

NAMED = [GenericResource(NamedResource("gpu", value)) for value in ("g1", "g2")]
COUNTED = [GenericResource(None, DiscreteResource("gpu", 2))]
ONE_OF_TWO = [GenericResource(None, DiscreteResource("gpu", 1))]


def world(reserve: Reservations, generic: list[GenericResource] | None = None) -> World:
    w = World(make.cluster(), make.node("n1", cpus=4, memory=4 * make.GIB, generic=generic))
    w.put(make.service(replicas=2, reserve=reserve))
    w.settle()
    assert len(w.running()) == 2
    return w


def held(w: World) -> list[str]:
    """What tasks run with, and what the others say."""
    return [task.node_id or text(task.reason) for task in w.going()]


@pytest.mark.parametrize(
    ("reserve", "less"),
    [
        (Reservations(memory_bytes=2 * make.GIB), {"memory": 3 * make.GIB}),
        (Reservations(nano_cpus=2 * make.CPU), {"cpus": 3}),
    ],
)
def test_tasks_leave_a_node_that_has_less_than_they_reserve(reserve: Reservations, less: dict[str, int]) -> None:
    w = world(reserve)
    oldest = w.tasks()[0]
    w.put(make.node("n1", **{"cpus": 4, "memory": 4 * make.GIB, **less})[1])
    w.settle()
    assert [task.id for task in w.running()] == [oldest.id]
    stopped = next(task for task in w.tasks() if task.desired.value == "shutdown")
    assert text(stopped.reason) == "assigned node no longer has the resources that the task reserves"
    assert held(w) == ["n1", "no suitable node (insufficient resources on 1 node)"]


@pytest.mark.parametrize(("all_of_them", "fewer"), [(NAMED, NAMED[:1]), (COUNTED, ONE_OF_TWO)])
def test_a_node_that_loses_a_generic_resource_loses_the_youngest_task_that_holds_one(
    all_of_them: list[GenericResource], fewer: list[GenericResource]
) -> None:
    w = world(Reservations(generic_resources=ONE_OF_TWO), all_of_them)
    w.put(make.node("n1", generic=fewer)[1])
    w.settle()
    assert len(w.running()) == 1
    assert held(w) == ["n1", "no suitable node (insufficient resources on 1 node)"]
    w.put(make.node("n1", generic=all_of_them)[1])
    assert len(w.wait(10).running()) == 2


def test_a_node_that_holds_all_of_it_is_left_alone() -> None:
    w = world(Reservations(memory_bytes=2 * make.GIB, nano_cpus=2 * make.CPU))
    before = [task.id for task in w.tasks()]
    w.put(make.node("n1", cpus=8, memory=4 * make.GIB)[1])
    w.settle()
    assert [task.id for task in w.running()] == before
