"""The spread of one service: the number of its tasks by node, and the nodes by number of tasks.

The second makes finding the nodes with the fewest tasks cheap. It is built on first use, or when the service is on more
than FEW nodes: there are many services, and most are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FEW = 8


class Spread:
    """The number of tasks of a service on each node."""

    __slots__ = ("_levels", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """Number by node; callers must not change it."""
        self._levels: dict[int, set[str]] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and self.counts == other.counts and self.levels == other.levels

    __hash__ = None  # type: ignore[assignment]  # mutable

    def copy(self) -> Spread:
        """A copy that can be changed independently."""
        made = Spread()
        made.counts = self.counts.copy()
        if self._levels is not None:
            made._levels = {number: ids.copy() for number, ids in self._levels.items()}
        return made

    @property
    def levels(self) -> Mapping[int, set[str]]:
        """Nodes by number of tasks; callers must not change it."""
        if self._levels is None:
            self._levels = self._make_levels()
        return self._levels

    def shift(self, id: str, by: int) -> None:
        """Count one task more (`by` +1) or less (-1) on a node."""
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
        """Set the number of tasks of nodes that all have `count` to `to`."""
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
