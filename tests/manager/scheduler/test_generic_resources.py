"""Generic resources: what a task gets of a node's, by number or by name."""

from __future__ import annotations

import pytest

from api.service.resources import DiscreteResource, GenericResource, NamedResource
from manager.scheduler.generic_resources import pick
from manager.scheduler.node_load import Demand, NodeLoad
from tests import make


def named(*values: str, kind: str = "gpu") -> list[GenericResource]:
    return [GenericResource(NamedResource(kind, value)) for value in values]


def counted(number: int, kind: str = "ssd") -> list[GenericResource]:
    return [GenericResource(None, DiscreteResource(kind, number))]


NODE = make.description("n1", generic=[*named("a", "b", "c"), *counted(4), *named("x", kind="fpga")])


@pytest.mark.parametrize(
    ("demand", "given"),
    [
        (Demand(generic=(("ssd", 3),)), counted(3)),
        (Demand(generic=(("ssd", 5),)), None),
        (Demand(generic=(("gpu", 2),)), named("a", "b")),
        (Demand(generic=(("gpu", 4),)), None),
        (Demand(generic=(("tape", 1),)), None),
        (Demand(generic=(("gpu", 1), ("ssd", 1), ("fpga", 1))), [*named("a"), *counted(1), *named("x", kind="fpga")]),
        (Demand(generic=(("gpu", 1), ("ssd", 9))), None),
        (Demand(generic_named=(("gpu", "b"),)), named("b")),
        (Demand(generic_named=(("gpu", "z"),)), None),
        (Demand(generic=(("gpu", 2),), generic_named=(("gpu", "a"),)), named("a", "b", "c")),
        (Demand(), []),
    ],
)
def test_a_task_gets_as_many_of_each_kind_as_it_asks_for_or_nothing(
    demand: Demand, given: list[GenericResource] | None
) -> None:
    assert pick(demand, NODE, NodeLoad()) == given


def test_what_a_task_holds_is_not_given_again_until_it_is_given_back() -> None:
    load, demand = NodeLoad(), Demand(generic=(("gpu", 2), ("ssd", 3)))
    held = pick(demand, NODE, load)
    assert held is not None
    row = make.task(generic_resources=held)[2]
    load.add(row, demand)
    assert pick(demand, NODE, load) is None
    assert pick(Demand(generic=(("gpu", 1), ("ssd", 1))), NODE, load) == [*named("c"), *counted(1)]
    assert pick(Demand(generic_named=(("gpu", "a"),)), NODE, load) is None
    load.add(row, demand, -1)
    assert pick(demand, NODE, load) == held
    assert (load.tasks, load.discrete, load.named) == (0, {}, {})
