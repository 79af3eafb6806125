"""The placement of one task group: how many tasks each branch of nodes gets, and which nodes of the branch.

Spread preferences divide the nodes into branches, level by level; each level fills its branches evenly, as long as they
have room. Within a branch the group is placed in passes: first on nodes with none of its service's tasks, then on nodes
with one, and so on. A node takes at most one task per pass, so the nodes and their order are known when the pass
begins, and a pass costs as much as it places. Nodes on which the service keeps failing come last in their branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import filterfalse, groupby, islice

from api.objects.decided import Task
from manager.scheduler.filters import Pipeline
from manager.scheduler.node_pools import BranchKey
from manager.scheduler.node_ranking import NodeRanking
from manager.scheduler.scheduling_round import Round
from manager.scheduler.service_spread import Spread
from manager.scheduler.task_group import TaskGroup

Fits = Callable[[str], bool]
_ANY = (None,)
SORTING = 3
"""The cost of sorting one node, in units of stepping over one."""


class GroupPlacement:
    """The placement of one group in one round."""

    def __init__(self, round: Round, group: TaskGroup, pipeline: Pipeline, faulty: set[str]) -> None:
        wanted = group.placement.preferences
        keys = tuple([one.spread.spread_descriptor for one in wanted if one.spread]) if wanted else ()
        self._round = round
        self._group = group
        self._pool = round.pool(group)
        self._branches = self._pool.branches(keys)
        self._placed = 0
        self._fits = self._node_filters(pipeline, faulty)

    def place(self) -> list[Task]:
        """Place the tasks. Returns those that no node takes."""
        tasks, rankings = self._group.tasks, self._branches.rankings
        if len(rankings) == 1:
            self._run(next(iter(rankings.values())), len(tasks))
        elif rankings:
            self._fill(0, sorted(rankings), self._counts(), len(tasks))
        return tasks[self._placed :]

    def _node_filters(self, pipeline: Pipeline, faulty: set[str]) -> Sequence[Fits | None]:
        """The filters of the nodes to be tried, one after the other; None lets every node through."""
        if pipeline.is_unlimited and not faulty:
            return _ANY

        def has_room(id: str) -> bool:
            node = self._round.candidate(id)
            return node is not None and pipeline.has_room(node)

        if not faulty:
            return (has_room,)
        return (lambda id: id not in faulty and has_room(id), lambda id: id in faulty and has_room(id))

    def _counts(self) -> dict[BranchKey, int]:
        """The number of tasks of the service in each branch."""
        counts = dict.fromkeys(self._branches.rankings, 0)
        place = self._branches.branch_of.get
        for number, ids in self._group.spread.levels.items():
            for values in filter(None, map(place, ids)):
                counts[values] += number
        return counts

    def _fill(self, depth: int, branches: list[BranchKey], counts: dict[BranchKey, int], number: int) -> int:
        """Place up to `number` tasks in branches with the same first `depth` values. Returns the number placed."""
        if depth == len(branches[0]):
            got = self._run(self._branches.rankings[branches[0]], number)
            counts[branches[0]] += got
            return got
        open = [list(some) for _, some in groupby(branches, lambda values: values[depth])]
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

    def _run(self, ranking: NodeRanking, number: int) -> int:
        """Place up to `number` tasks on the nodes of one branch. Returns the number placed."""
        left = number
        for fits in self._fits:
            left -= self._passes(ranking, left, fits)
        return number - left

    def _passes(self, ranking: NodeRanking, number: int, fits: Fits | None) -> int:
        group, count, left = self._group, 0, number
        while left:
            ids = next_nodes(ranking, group.spread, count, left, fits)
            if ids:
                end = self._placed + len(ids)
                self._round.assign(group, group.tasks[self._placed : end], ids, count)
                self._pool.note_placed(ranking, ids)
                self._placed, left = end, left - len(ids)
            if left:
                count = min((more for more in group.spread.levels if more > count), default=0)
                if not count:
                    break
        return number - left


def next_nodes(ranking: NodeRanking, spread: Spread, count: int, number: int, fits: Fits | None) -> list[str]:
    """The first `number` nodes with exactly `count` tasks of a service, found by skipping the others or by sorting."""
    found: Iterable[str]
    if not count:
        if ranking.is_covered(spread):
            return []
        found = filterfalse(spread.counts.__contains__, ranking)
    else:
        own = spread.levels.get(count, set())
        if number * len(ranking) < SORTING * len(own) ** 2:
            found = filter(own.__contains__, ranking)
        else:
            found = sorted(filter(ranking.__contains__, own), key=ranking.rank)
    return list(islice(filter(fits, found) if fits else found, number))


def shares(counts: Sequence[int], number: int) -> list[int]:
    """How many of `number` tasks each gets, when every task goes to the one with the fewest, of equals the first."""
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
