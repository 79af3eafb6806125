"""Ids in the order in which they changed. Each reader remembers how far it has read."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 100_000
"""Notes kept; a reader that has not read for longer begins anew."""


class ChangeLog:
    """A note for each change. Positions count from 0 and never go back."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._start = 0

    @property
    def end(self) -> int:
        """The position of the next note."""
        return self._start + len(self._ids)

    def note(self, ids: Iterable[str]) -> None:
        """These have changed."""
        if len(self._ids) >= MOST:
            self._start, self._ids = self.end, []
        self._ids.extend(ids)

    def since(self, position: int) -> list[str] | None:
        """What was noted from a position on; None when that is forgotten."""
        return self._ids[position - self._start :] if position >= self._start else None
