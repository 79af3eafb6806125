"""Nodes by the number of tasks, and a service's nodes by the number of its own, are what sorting them would give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manager.scheduler.group_placement import next_nodes
from manager.scheduler.node_ranking import NodeRanking
from manager.scheduler.service_spread import Spread

NODES = [f"n{number:02}" for number in range(30)]
some = st.lists(st.sampled_from(NODES), unique=True, max_size=12)


def in_order(tasks: dict[str, int], members: set[str]) -> list[str]:
    return sorted(members, key=lambda id: (tasks.get(id, 0), id))


@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "more", "less"]), some), max_size=30))
def test_an_order_is_by_tasks_and_id_whatever_happens(steps: list[tuple[str, list[str]]]) -> None:
    tasks, members = dict[str, int](), set[str]()
    order = NodeRanking(tasks)
    for what, ids in steps:
        if what == "add":
            order.add([id for id in ids if id not in members])
            members.update(ids)
        elif what == "drop":
            for id in ids:
                order.drop(id)
            members.difference_update(ids)
        else:
            for id in ids:
                tasks[id] = max(0, tasks.get(id, 0) + (1 if what == "more" else -1))
            order.recount([*ids, *ids])
        assert list(order) == in_order(tasks, members)
        assert len(order) == len(members)


@given(st.lists(some, max_size=12), st.lists(some, max_size=6), st.lists(some, max_size=6), st.integers(1, 40))
def test_a_pass_takes_the_first_nodes_with_just_so_many_tasks(
    others: list[list[str]], own: list[list[str]], gone: list[list[str]], number: int
) -> None:
    tasks, spread = dict[str, int](), Spread()
    order = NodeRanking(tasks)
    order.add(NODES[:25])  # the service is on others, too
    for ids, by in [*((ids, 1) for ids in own), *((ids, -1) for ids in gone)]:
        for id in ids:
            if spread.counts.get(id, 0) + by >= 0:
                spread.shift(id, by)
        for count in range(4):
            mine = [id for id in order if spread.counts.get(id, 0) == count]
            assert next_nodes(order, spread, count, number, None) == mine[:number]
    for ids in others:
        for id in ids:
            tasks[id] = tasks.get(id, 0) + 1
        order.recount(ids)
        for count in range(4):
            mine = [id for id in in_order(tasks, set(NODES[:25])) if spread.counts.get(id, 0) == count]
            assert (
                next_nodes(order, spread, count, number, lambda id: id != "n03")
                == [id for id in mine if id != "n03"][:number]
            )


def test_that_a_service_is_everywhere_is_known_until_a_node_comes_or_a_task_goes() -> None:
    tasks, spread = dict[str, int](), Spread()
    order = NodeRanking(tasks)
    order.add(NODES[:3])
    assert not order.is_covered(spread)
    spread.move(NODES[:3], 0, 1)
    assert order.is_covered(spread)
    order.add(NODES[3:4])
    assert not order.is_covered(spread)
    spread.shift(NODES[3], +1)
    assert order.is_covered(spread)
    spread.shift(NODES[0], -1)
    spread.shift(NODES[9], +1)
    assert not order.is_covered(spread)
