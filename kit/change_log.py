"""Ids in the order in which they changed; each reader keeps its own position."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 100_000
"""Entries kept. A reader that is further behind has to start over."""


class ChangeLog:
    """One entry per change. Positions count from 0 and only grow."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._start = 0

    @property
    def end(self) -> int:
        """The position of the next entry."""
        return self._start + len(self._ids)

    def note(self, ids: Iterable[str]) -> None:
        """Append ids that have changed."""
        if len(self._ids) >= MOST:
            self._start, self._ids = self.end, []
        self._ids.extend(ids)

    def since(self, position: int) -> list[str] | None:
        """The ids from a position on; None when those entries are no longer kept."""
        return self._ids[position - self._start :] if position >= self._start else None
