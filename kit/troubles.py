"""The current problems of a process, one sentence for each thing that does not work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from kit.reported_once import ReportedOnce

log = structlog.get_logger(__name__)


class Troubles:
    """The problems, by subject. Each is logged once, when it is new, and once when it is resolved."""

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._reported = ReportedOnce()
        self.changed = asyncio.Event()
        """Set when the problems change. The reader that publishes them clears it."""

    @property
    def current(self) -> Mapping[str, str]:
        """The sentences by subject."""
        return self._current

    def sentences(self) -> list[str]:
        """ "<subject>: <sentence>", sorted by subject."""
        return [f"{about}: {why}" for about, why in sorted(self._current.items())]

    def report(self, about: str, why: str, error: BaseException | None = None) -> None:
        """Record that a subject does not work. `error`: a fault in our own code, logged with its traceback."""
        if self._reported.is_new(about, why):
            log.error("something does not work", what=about, why=why, exc_info=error)
        if self._current.get(about) != why:
            self._current[about] = why
            self.changed.set()

    def clear(self) -> None:
        """Resolve all problems, before everything is checked again."""
        for about in list(self._current):
            self.resolve(about)

    def resolve(self, about: str) -> None:
        """Record that a subject works (again)."""
        if self._current.pop(about, None) is not None:
            log.info("it works again", what=about)
            self._reported.forget(about)
            self.changed.set()


def error_sentence(error: BaseException) -> str:
    """The text of an error, with its type in front when the text is a single word."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = str(error)
    return text if " " in text else f"{type(error).__name__} {text}".strip()
