"""Forgets connections of backends that are gone, in the background.

A UDP "connection" lives as long as packets come: without this a client that keeps sending keeps reaching a backend that
is no longer ready. TCP connections of a backend that is only unready are left to end by themselves (draining).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from kit.process import run

log = structlog.get_logger(__name__)


class Flows:
    """Addresses whose conntrack entries are to go."""

    def __init__(self) -> None:
        self._unready: set[str] = set()
        self._gone: set[str] = set()
        self._filled = asyncio.Event()

    def forget(self, unready: Iterable[str], gone: Iterable[str]) -> None:
        """Flush UDP of the unready, everything of the gone; soon."""
        self._unready.update(unready)
        self._gone.update(gone)
        if self._unready or self._gone:
            self._filled.set()

    async def run(self) -> None:
        """Flush as long as the agent lives."""
        while True:
            await self._filled.wait()
            work: list[tuple[str, ...]] = [("-p", "udp", "--reply-src", a) for a in sorted(self._unready - self._gone)]
            work += [("--reply-src", a) for a in sorted(self._gone)]
            self._unready.clear()
            self._gone.clear()
            self._filled.clear()
            for arguments in work:
                await self._flush(*arguments)

    async def _flush(self, *arguments: str) -> None:
        try:
            # exits 1 when there is nothing to delete
            await run("conntrack", "-D", *arguments, timeout=10)
        except (OSError, TimeoutError) as error:
            log.warning("conntrack entries not flushed", arguments=arguments, error=str(error))
