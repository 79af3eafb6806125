"""A record of reported problems, so that a lasting one is logged once rather than at every check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

MOST = 10_000

log = structlog.get_logger(__name__)


class ReportedOnce:
    """The last sentence reported about each subject."""

    def __init__(self) -> None:
        self._reported: dict[str, str] = {}

    def is_new(self, about: str, sentence: str) -> bool:
        """Whether the sentence differs from the last one about the subject. Records it."""
        if self._reported.get(about) == sentence:
            return False
        if len(self._reported) >= MOST:
            self._reported.clear()
        self._reported[about] = sentence
        return True

    def forget(self, about: str) -> None:
        """Forget a subject that is fine again, so that the same problem is reported anew."""
        self._reported.pop(about, None)


@contextmanager
def isolated(reported: ReportedOnce, what: str, of: str) -> Iterator[None]:
    """Handle one of many items: an error is logged as `what` (once while it lasts) instead of ending the loop."""
    about = f"{what} {of}"
    try:
        yield
        reported.forget(about)
    except Exception as error:
        if reported.is_new(about, str(error)):
            log.exception(what, of=of)
