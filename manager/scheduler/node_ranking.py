"""A ranking of nodes by number of tasks, then by id.

Nodes are stored in levels, one per number of tasks, because many move at once: from the front of one level to the next.
A service that needs another order (first the nodes with none of its tasks, say) skips nodes, so one ranking serves all
services.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from manager.scheduler.service_spread import Spread

MANY = 8
"""If more than one in MANY nodes of a level move, they are moved together; fewer are moved one by one."""


class NodeRanking:
    """Ranked nodes. `tasks` (number by node) is read when nodes are added and recounted."""

    def __init__(self, tasks: Mapping[str, int]) -> None:
        self._tasks = tasks
        self._at: dict[str, int] = {}
        self._levels: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, id: str) -> bool:
        return id in self._at

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(map(self._levels.__getitem__, sorted(self._levels)))

    def is_covered(self, spread: Spread) -> bool:
        """Whether a service has a task on every one of the nodes."""
        return len(spread.counts) >= len(self._at) and self._at.keys() <= spread.counts.keys()

    def rank(self, id: str) -> tuple[int, str]:
        """The sort key of a node."""
        return self._at[id], id

    def add(self, ids: Iterable[str]) -> None:
        """Add new nodes."""
        coming: defaultdict[int, list[str]] = defaultdict(list)
        for id in ids:
            coming[self._tasks.get(id, 0)].append(id)
        for level, some in coming.items():
            self._at.update(dict.fromkeys(some, level))
            self._join(level, some)

    def recount(self, ids: Iterable[str]) -> None:
        """Rank nodes again whose number of tasks may have changed. Unknown nodes are ignored."""
        at, tasks = self._at, self._tasks
        moves: dict[tuple[int, int], list[str]] = {}
        for id in ids:
            old, new = at.get(id), tasks.get(id, 0)
            if old != new and old is not None:
                at[id] = new
                if (some := moves.get((old, new))) is None:
                    some = moves[old, new] = []
                some.append(id)
        for (old, new), some in moves.items():
            self._leave(old, some)
            self._join(new, some)

    def drop(self, id: str) -> None:
        """Remove a node, if it is ranked."""
        if (level := self._at.pop(id, None)) is not None:
            self._leave(level, [id])

    def _leave(self, level: int, ids: list[str]) -> None:
        nodes, number = self._levels[level], len(ids)
        if number == len(nodes):
            del self._levels[level]
        elif nodes[:number] == ids:
            del nodes[:number]
        elif number * MANY > len(nodes):
            gone = set(ids)
            self._levels[level] = [id for id in nodes if id not in gone]
        else:
            for id in ids:
                del nodes[bisect_left(nodes, id)]

    def _join(self, level: int, ids: list[str]) -> None:
        nodes = self._levels.setdefault(level, [])
        if len(ids) * MANY > len(nodes):
            nodes += ids
            nodes.sort()
        else:
            for id in ids:
                insort(nodes, id)
