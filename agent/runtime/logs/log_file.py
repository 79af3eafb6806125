"""A container's log on disk: reading across rotations, following, rotating. Its files: log_chain.py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from agent.runtime.containers.conmon import reopen_log
from agent.runtime.interface import RuntimeFailure
from agent.runtime.logs.log_chain import LogChain, count_rotation
from agent.runtime.logs.log_format import Assembler, Selection
from api.service.container import Driver
from api.wire.host_messages import LogLine
from kit.sizes import parse_size

_BRAKE_FACTOR, _LEAST_BRAKE = 4, 64 << 20
SKIPPED = b"argosy: a part of this log was rotated away before it could be sent; raise max-size or max-file\n"
_MOST_TAIL = 10_000_000
_POLL = 0.05
"""Seconds between two reads while following."""


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """How much of a log is stored."""

    keep: bool = True
    max_size: int = 10 << 20
    """Bytes per file."""
    max_files: int = 3

    @property
    def brake(self) -> int:
        """Bytes at which conmon itself truncates the file, losing its content: only if argosyd does not rotate it in
        time.
        """
        return max(_BRAKE_FACTOR * self.max_size * self.max_files, _LEAST_BRAKE)


def policy(driver: Driver | None, usual: LogPolicy = LogPolicy()) -> LogPolicy:
    """The policy of a spec's log driver; `usual` is the host's default. Raises RuntimeFailure for an unknown driver."""
    name = driver.name if driver else ""
    if name == "none":
        return LogPolicy(keep=False)
    if not name and not (driver and driver.options):
        return usual
    if name not in ("", "json-file", "local"):
        raise RuntimeFailure(f'log driver "{name}" is not known here; json-file, local and none are')
    options = driver.options if driver else {}
    try:
        size = parse_size(options["max-size"]) if options.get("max-size") else usual.max_size
        files = int(options.get("max-file") or usual.max_files)
    except ValueError as error:
        raise RuntimeFailure(f"log driver option: {error}") from None
    return LogPolicy(max_size=size, max_files=max(1, files))


def rotate(directory: Path, policy: LogPolicy) -> bool:
    """Begin a new file if the present one is full. Returns whether it did."""
    log = directory / "log"
    try:
        if not policy.keep or log.stat().st_size < policy.max_size:
            return False
    except FileNotFoundError:
        return False
    for number in range(policy.max_files - 1, 1, -1):
        older = directory / f"log.{number - 1}"
        if older.exists():
            older.rename(directory / f"log.{number}")
    log.rename(directory / "log.1")
    count_rotation(directory)
    reopen_log(directory)
    if policy.max_files == 1:
        (directory / "log.1").unlink()
    return True


async def read(
    directory: Path, wanted: Selection, tail: int, follow: bool, over: Callable[[], bool]
) -> AsyncIterator[list[LogLine]]:
    """The log's lines in batches: the last `tail` existing ones (-1: all), where a line without an end counts too.

    With `follow` also new lines until `over()`. Lines rotated away before they were read are reported in an extra line.
    """
    chain = LogChain(directory)
    reader = _Reader(chain, wanted)
    try:
        if tail < 0:
            while batch := reader.take():
                yield batch
                await asyncio.sleep(0)
        else:
            yield await reader.last(tail, follow)
        while follow:
            ending = over()  # asked first: what was written before the end is read still
            if batch := reader.take():
                yield batch
                await asyncio.sleep(0)
            elif ending:
                break
            else:
                await asyncio.sleep(_POLL)
        if rest := reader.finish():
            yield rest
    finally:
        chain.close()


class _Reader:
    """Reads the selected lines of a log chain."""

    def __init__(self, chain: LogChain, wanted: Selection) -> None:
        self._chain = chain
        self._wanted = wanted
        self._assembler = Assembler()

    def take(self) -> list[LogLine]:
        """The next lines; empty only if there are no more now."""
        while data := self._chain.read():
            before = self._gap() if self._chain.lost else []
            if lines := before + [line for line in self._assembler.feed(data) if self._wanted.takes(line)]:
                return lines
        return []

    async def last(self, count: int, more_follows: bool) -> list[LogLine]:
        """The last existing lines. With `more_follows`, a line without an end is returned once it is complete."""
        held: deque[LogLine] = deque(maxlen=min(count, _MOST_TAIL))
        while batch := self.take():
            held.extend(batch)
            await asyncio.sleep(0)
        if not more_follows:
            held.extend(self.finish())
            return list(held)
        begun = sum(self._wanted.takes(line) for line in self._assembler.begun())
        return list(held)[begun + len(held) - count if begun + len(held) > count else 0 :]

    def finish(self) -> list[LogLine]:
        """The line without an end, at the end of the log."""
        return [line for line in self._assembler.finish() if self._wanted.takes(line)]

    def _gap(self) -> list[LogLine]:
        """The line without an end before a gap, and a line that reports the gap."""
        self._chain.lost = False
        note = LogLine(self._assembler.time, "stderr" if self._wanted.stderr else "stdout", SKIPPED)
        return [*self.finish(), note]
