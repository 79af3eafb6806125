"""Generic resources: what a task gets of a node's, by number or by name."""

from __future__ import annotations

import pytest

from api.service.resources import DiscreteResource, GenericResource, NamedResource
from manager.scheduler.generic_resources import pick
from manager.scheduler.node_load import Need, NodeLoad
from tests import make


def named(*values: str, kind: str = "gpu") -> list[GenericResource]:
    return [GenericResource(NamedResource(kind, value)) for value in values]


def counted(number: int, kind: str = "ssd") -> list[GenericResource]:
    return [GenericResource(None, DiscreteResource(kind, number))]


NODE = make.description("n1", generic=[*named("a", "b", "c"), *counted(4), *named("x", kind="fpga")])


@pytest.mark.parametrize(
    ("need", "given"),
    [
        (Need(generic=(("ssd", 3),)), counted(3)),
        (Need(generic=(("ssd", 5),)), None),
        (Need(generic=(("gpu", 2),)), named("a", "b")),
        (Need(generic=(("gpu", 4),)), None),
        (Need(generic=(("tape", 1),)), None),
        (Need(generic=(("gpu", 1), ("ssd", 1), ("fpga", 1))), [*named("a"), *counted(1), *named("x", kind="fpga")]),
        (Need(generic=(("gpu", 1), ("ssd", 9))), None),
        (Need(generic_named=(("gpu", "b"),)), named("b")),
        (Need(generic_named=(("gpu", "z"),)), None),
        (Need(generic=(("gpu", 2),), generic_named=(("gpu", "a"),)), named("a", "b", "c")),
        (Need(), []),
    ],
)
def test_a_task_gets_as_many_of_each_kind_as_it_asks_for_or_nothing(
    need: Need, given: list[GenericResource] | None
) -> None:
    assert pick(need, NODE, NodeLoad()) == given


def test_what_a_task_holds_is_not_given_again_until_it_is_given_back() -> None:
    load, need = NodeLoad(), Need(generic=(("gpu", 2), ("ssd", 3)))
    held = pick(need, NODE, load)
    assert held is not None
    row = make.task(generic_resources=held)[2]
    load.add(row, need)
    assert pick(need, NODE, load) is None
    assert pick(Need(generic=(("gpu", 1), ("ssd", 1))), NODE, load) == [*named("c"), *counted(1)]
    assert pick(Need(generic_named=(("gpu", "a"),)), NODE, load) is None
    load.add(row, need, -1)
    assert pick(need, NODE, load) == held
    assert (load.tasks, load.discrete, load.named) == (0, {}, {})
