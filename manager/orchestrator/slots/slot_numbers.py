"""Which replica numbers of a service are in use, so that a free one is found without a look at the others."""

from __future__ import annotations

from itertools import count, filterfalse, islice


class SlotNumbers:
    """Numbers from 1 that are in use."""

    def __init__(self) -> None:
        self.taken: set[int] = set()
        """Not to be changed from outside."""
        self._low = 1
        """The lowest that is free."""

    def take(self, number: int) -> None:
        """A number is in use."""
        self.taken.add(number)
        while self._low in self.taken:
            self._low += 1

    def give(self, number: int) -> None:
        """It is not."""
        self.taken.discard(number)
        self._low = min(self._low, number)

    def free(self, many: int) -> list[int]:
        """The lowest so many that are not in use."""
        return list(islice(filterfalse(self.taken.__contains__, count(self._low)), many))
