"""Where one service's tasks are: by node, and by how many a node has.

The second makes a look for "the nodes with the fewest" a look at those nodes. It is made when it is first asked for, or
when the service is on more than a few nodes: there are many services, and most are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FEW = 8


class Spread:
    """How many tasks of a service are on which node."""

    __slots__ = ("_levels", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """By node; not to be changed from outside."""
        self._levels: dict[int, set[str]] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and self.counts == other.counts and self.levels == other.levels

    __hash__ = None  # type: ignore[assignment]  # it changes

    def copy(self) -> Spread:
        """One that can be changed without changing this."""
        made = Spread()
        made.counts = self.counts.copy()
        if self._levels is not None:
            made._levels = {number: ids.copy() for number, ids in self._levels.items()}
        return made

    @property
    def levels(self) -> Mapping[int, set[str]]:
        """The nodes by the number of tasks; not to be changed."""
        if self._levels is None:
            self._levels = self._make_levels()
        return self._levels

    def shift(self, id: str, by: int) -> None:
        """One node has one task more (+1) or less (-1)."""
        counts, levels = self.counts, self._levels
        had = counts.get(id, 0)
        if had + by:
            counts[id] = had + by
        else:
            del counts[id]
        if levels is None:
            if len(counts) > FEW:
                self._levels = self._make_levels()
            return
        if had:
            levels[had].discard(id)
            if not levels[had]:
                del levels[had]
        if had + by:
            levels.setdefault(had + by, set()).add(id)

    def move(self, ids: Sequence[str], count: int, to: int) -> None:
        """Nodes that had `count` tasks have another number now."""
        counts = self.counts
        if to:
            for id in ids:
                counts[id] = to
        else:
            for id in ids:
                del counts[id]
        if self._levels is not None:
            self._relevel(self._levels, ids, count, to)
        elif len(counts) > FEW:
            self._levels = {to: set(ids)} if len(ids) == len(counts) else self._make_levels()

    def _make_levels(self) -> dict[int, set[str]]:
        levels: dict[int, set[str]] = {}
        for id, count in self.counts.items():
            levels.setdefault(count, set()).add(id)
        return levels

    def _relevel(self, levels: dict[int, set[str]], ids: Sequence[str], count: int, to: int) -> None:
        if count:
            levels[count].difference_update(ids)
            if not levels[count]:
                del levels[count]
        if to:
            levels.setdefault(to, set()).update(ids)
