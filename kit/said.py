"""What has been said already, so that a lasting trouble is logged once and not at each look. Pure."""

from __future__ import annotations

MOST = 10_000


class Said:
    """Sentences by what they are about."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def is_news(self, about: str, sentence: str) -> bool:
        """Whether this was not the last that was said about it; from now on it is."""
        if self._said.get(about) == sentence:
            return False
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[about] = sentence
        return True

    def forget(self, about: str) -> None:
        """It is well again: the same trouble would be news."""
        self._said.pop(about, None)
