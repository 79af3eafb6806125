"""The replica numbers of a service that are in use. Finding a free one does not read the others."""

from __future__ import annotations

from itertools import count, filterfalse, islice


class SlotNumbers:
    """A set of replica numbers in use, from 1."""

    def __init__(self) -> None:
        self.taken: set[int] = set()
        """Callers must not change it."""
        self._low = 1
        """The lowest free number."""

    def take(self, number: int) -> None:
        """Mark a number as in use."""
        self.taken.add(number)
        while self._low in self.taken:
            self._low += 1

    def give(self, number: int) -> None:
        """Mark a number as free."""
        self.taken.discard(number)
        self._low = min(self._low, number)

    def free(self, many: int) -> list[int]:
        """The lowest `many` numbers that are not in use."""
        return list(islice(filterfalse(self.taken.__contains__, count(self._low)), many))
