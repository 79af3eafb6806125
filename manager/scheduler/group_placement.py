"""Placing the tasks of one group: which branch of the nodes gets how many, and there, which nodes.

With spread preferences the nodes are parted, level by level; every level fills its branches evenly, for as long as they
have room. Among nodes that no preference tells apart a group goes from pass to pass: first to those with none of its
service's tasks, then to those with one, and so on. In a pass a node takes one task at most, so which nodes, and in
which order, is known when the pass begins; a pass costs what is placed in it. Nodes that keep failing the service come
after all others of their branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import filterfalse, groupby, islice

from api.objects.decided import Task
from manager.scheduler.filters import Pipeline
from manager.scheduler.node_pools import Values
from manager.scheduler.node_ranking import NodeRanking
from manager.scheduler.scheduling_round import Round
from manager.scheduler.service_spread import Spread
from manager.scheduler.task_group import TaskGroup

Fits = Callable[[str], bool]
_ANY = (None,)
SORTING = 3
"""What it costs to sort a node, in steps over nodes."""


class GroupPlacement:
    """One group in one round."""

    def __init__(self, round: Round, group: TaskGroup, pipeline: Pipeline, faulty: set[str]) -> None:
        wanted = group.placement.preferences
        keys = tuple([one.spread.spread_descriptor for one in wanted if one.spread]) if wanted else ()
        self._round = round
        self._group = group
        self._pool = round.pool(group)
        self._parts = self._pool.branches(keys)
        self._placed = 0
        self._fits = self._turns(pipeline, faulty)

    def place(self) -> list[Task]:
        """Place the tasks; those that found no room are returned."""
        tasks, orders = self._group.tasks, self._parts.orders
        if len(orders) == 1:
            self._run(next(iter(orders.values())), len(tasks))
        elif orders:
            self._fill(0, sorted(orders), self._counts(), len(tasks))
        return tasks[self._placed :]

    def _turns(self, pipeline: Pipeline, faulty: set[str]) -> Sequence[Fits | None]:
        """Which nodes are asked, first and then; None for any."""
        if pipeline.endless and not faulty:
            return _ANY

        def has_room(id: str) -> bool:
            node = self._round.candidate(id)
            return node is not None and pipeline.has_room(node)

        if not faulty:
            return (has_room,)
        return (lambda id: id not in faulty and has_room(id), lambda id: id in faulty and has_room(id))

    def _counts(self) -> dict[Values, int]:
        """How many tasks of the service each part has."""
        counts = dict.fromkeys(self._parts.orders, 0)
        place = self._parts.place.get
        for number, ids in self._group.spread.levels.items():
            for values in filter(None, map(place, ids)):
                counts[values] += number
        return counts

    def _fill(self, depth: int, parts: list[Values], counts: dict[Values, int], number: int) -> int:
        """Place up to so many in parts that are alike down to a depth; how many it were."""
        if depth == len(parts[0]):
            got = self._run(self._parts.orders[parts[0]], number)
            counts[parts[0]] += got
            return got
        open = [list(some) for _, some in groupby(parts, lambda values: values[depth])]
        totals = [sum(counts[values] for values in some) for some in open]
        left = number
        while left and open:
            still: list[int] = []
            for index, share in enumerate(shares(totals, left)):
                got = self._fill(depth + 1, open[index], counts, share) if share else 0
                totals[index] += got
                left -= got
                if got == share:
                    still.append(index)
            open, totals = [open[index] for index in still], [totals[index] for index in still]
        return number - left

    def _run(self, order: NodeRanking, number: int) -> int:
        """Place up to so many on nodes that no preference tells apart; how many it were."""
        left = number
        for fits in self._fits:
            left -= self._passes(order, left, fits)
        return number - left

    def _passes(self, order: NodeRanking, number: int, fits: Fits | None) -> int:
        group, count, left = self._group, 0, number
        while left:
            ids = next_nodes(order, group.spread, count, left, fits)
            if ids:
                end = self._placed + len(ids)
                self._round.assign(group, group.tasks[self._placed : end], ids, count)
                self._pool.have_got(order, ids)
                self._placed, left = end, left - len(ids)
            if left:
                count = min((more for more in group.spread.levels if more > count), default=0)
                if not count:
                    break
        return number - left


def next_nodes(order: NodeRanking, spread: Spread, count: int, number: int, fits: Fits | None) -> list[str]:
    """The first so many nodes with just `count` tasks of a service: by passing over the others, or sorting these."""
    found: Iterable[str]
    if not count:
        if order.is_covered(spread):
            return []
        found = filterfalse(spread.counts.__contains__, order)
    else:
        own = spread.levels.get(count, set())
        if number * len(order) < SORTING * len(own) ** 2:
            found = filter(own.__contains__, order)
        else:
            found = sorted(filter(order.__contains__, own), key=order.rank)
    return list(islice(filter(fits, found) if fits else found, number))


def shares(counts: Sequence[int], number: int) -> list[int]:
    """How many of so many go to each, when each goes to one with the fewest; of equals the first."""
    lowest, total = sorted(counts), number
    among = 0
    for among, count in enumerate(lowest):
        if count * among > total:
            break
        total += count
    else:
        among = len(lowest)
    level, extra = divmod(total, among)
    given = [max(0, level - count) for count in counts]
    for index, count in enumerate(counts):
        if extra and count <= level:
            given[index] += 1
            extra -= 1
    return given
