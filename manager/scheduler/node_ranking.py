"""Nodes in the order of how many tasks they have, and then of their ids.

They stand in levels, one for each number of tasks, because that is how they move: many at once, from the front of one
level to the next. Whatever a service makes of that order (nodes that have none of its tasks first, say) it finds by
passing over nodes, so one order does for all services.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from manager.scheduler.service_spread import Spread

MANY = 8
"""More than one in so many of a level are moved together, fewer one by one."""


class NodeRanking:
    """Some nodes, in order. `tasks` is read when they are added and recounted."""

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
        """Whether a service has a task on each of the nodes."""
        return len(spread.counts) >= len(self._at) and self._at.keys() <= spread.counts.keys()

    def rank(self, id: str) -> tuple[int, str]:
        """What the order goes by."""
        return self._at[id], id

    def add(self, ids: Iterable[str]) -> None:
        """Nodes are new."""
        coming: defaultdict[int, list[str]] = defaultdict(list)
        for id in ids:
            coming[self._tasks.get(id, 0)].append(id)
        for level, some in coming.items():
            self._at.update(dict.fromkeys(some, level))
            self._join(level, some)

    def recount(self, ids: Iterable[str]) -> None:
        """Nodes may have another number of tasks now. Those it does not have are no matter."""
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
        """A node is none of them any more."""
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
