"""What has been said already, so that a lasting trouble is logged once and not at each look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

MOST = 10_000

log = structlog.get_logger(__name__)


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


@contextmanager
def apart(said: Said, what: str, of: str) -> Iterator[None]:
    """One of many things: should it fail, `what` is logged of it (once while it lasts), and the others go on."""
    about = f"{what} {of}"
    try:
        yield
        said.forget(about)
    except Exception as error:
        if said.is_news(about, str(error)):
            log.exception(what, of=of)
