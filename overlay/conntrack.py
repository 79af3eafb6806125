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

FEW = 3
"""So many addresses are flushed without looking first whether there is anything to flush: each costs a process."""


def reply_sources(listing: bytes) -> set[str]:
    """The addresses that answer in what `conntrack -L` printed: behind a VIP, the backends'."""
    found = set()
    for line in listing.splitlines():
        parts = line.split(b"src=", 3)
        if len(parts) == 3:
            found.add(parts[2].split(maxsplit=1)[0].decode())
    return found


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
            unready, gone = self._unready - self._gone, self._gone
            self._unready, self._gone = set(), set()
            self._filled.clear()
            if len(unready) + len(gone) > FEW:
                known = await self._known(unready | gone)
                unready, gone = unready & known, gone & known
            for address in sorted(unready):
                await self._flush("-p", "udp", "--reply-src", address)
            for address in sorted(gone):
                await self._flush("--reply-src", address)

    async def _known(self, addresses: set[str]) -> set[str]:
        """Those that there are connections to; all of them when that cannot be told."""
        try:
            listing = await run("conntrack", "-L", timeout=10)
        except (OSError, TimeoutError) as error:
            log.warning("conntrack entries not read", error=str(error))
            return addresses
        return await asyncio.to_thread(reply_sources, listing.stdout)

    async def _flush(self, *arguments: str) -> None:
        try:
            # exits 1 when there is nothing to delete
            await run("conntrack", "-D", *arguments, timeout=10)
        except (OSError, TimeoutError) as error:
            log.warning("conntrack entries not flushed", arguments=arguments, error=str(error))
