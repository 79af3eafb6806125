"""What does not work now, for those who look; and works that are begun again when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, NoReturn

import structlog

from kit.reported_once import Said
from kit.supervisor import heeding

WELL = 10.0
"""Seconds that a work must go on until its last failure is forgotten."""

log = structlog.get_logger(__name__)


class Troubles:
    """A sentence for each thing that does not work. Each is logged once, when it is new."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._said = Said()
        self.changed = asyncio.Event()
        """Set when they are others; for the one who tells of them to clear."""

    @property
    def now(self) -> Mapping[str, str]:
        """Sentences by what they are about."""
        return self._told

    def sentences(self) -> list[str]:
        """ "<what>: <why>", in order."""
        return [f"{about}: {why}" for about, why in sorted(self._told.items())]

    def say(self, about: str, why: str, error: BaseException | None = None) -> None:
        """It does not work. `error`: a fault of ours, whose traceback is worth its lines."""
        if self._said.is_news(about, why):
            log.error("something does not work", what=about, why=why, exc_info=error)
        if self._told.get(about) != why:
            self._told[about] = why
            self.changed.set()

    def clear(self) -> None:
        """Whoever found them looks anew."""
        for about in list(self._told):
            self.well(about)

    def well(self, about: str) -> None:
        """It works (again)."""
        if self._told.pop(about, None) is not None:
            log.info("it works again", what=about)
            self._said.forget(about)
            self.changed.set()


async def supervise(
    work: Callable[[], Coroutine[Any, Any, Any]],
    name: str,
    troubles: Troubles,
    delays: Callable[[], Iterator[float]],
    well: float = WELL,
) -> NoReturn:
    """Run eternal work. When it fails that is said in `troubles`, and it is begun again after a delay (of `delays()`,
    seconds, anew after it went on for `well` seconds; then the trouble is over, too). Never ends.
    """
    loop, waits = asyncio.get_running_loop(), delays()
    while True:
        began = loop.time()
        over = loop.call_later(well, troubles.well, name)
        try:
            await heeding(work())
            troubles.say(name, "it ended, which it never should; it is begun again")
        except Exception as error:
            troubles.say(name, sentence(error), error)
        finally:
            over.cancel()
        if loop.time() - began >= well:
            waits = delays()
        await asyncio.sleep(next(waits))


def sentence(error: BaseException) -> str:
    """An error's own words, and its kind where they say little by themselves."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = str(error)
    return text if " " in text else f"{type(error).__name__} {text}".strip()
