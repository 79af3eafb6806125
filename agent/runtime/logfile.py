"""A container's log on disk: read across its rotations, followed, and rotated.

`log` is written by conmon; `log.1` is the one before, `log.2` the one before that.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent.runtime.base import RuntimeFailure
from agent.runtime.conmon import reopen_log
from agent.runtime.loglines import Assembler, Selection
from api.specs import Driver
from api.wire import LogLine

_CHUNK = 1 << 18
_POLL = 0.05
"""Seconds between looks at the size while following."""
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """How much is kept."""

    keep: bool = True
    max_size: int = 10 << 20
    """Bytes per file."""
    max_files: int = 3


def policy(driver: Driver | None) -> LogPolicy:
    """What a spec's log driver asks for. Raises RuntimeFailure for one we do not have."""
    name = driver.name if driver else ""
    if name == "none":
        return LogPolicy(keep=False)
    if name not in ("", "json-file", "local"):
        raise RuntimeFailure(f'log driver "{name}" is not known here; json-file, local and none are')
    options, usual = driver.options if driver else {}, LogPolicy()
    try:
        size = _bytes(options["max-size"]) if options.get("max-size") else usual.max_size
        files = int(options.get("max-file") or usual.max_files)
    except ValueError as error:
        raise RuntimeFailure(f"log driver option: {error}") from None
    return LogPolicy(max_size=size, max_files=max(1, files))


def rotate(directory: Path, policy: LogPolicy) -> bool:
    """Begin a new file if the present one is full; whether it did."""
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
    reopen_log(directory)
    if policy.max_files == 1:
        (directory / "log.1").unlink()
    return True


async def read(
    directory: Path, wanted: Selection, tail: int, follow: bool, over: Callable[[], bool]
) -> AsyncIterator[LogLine]:
    """The log's lines, the last `tail` of what is there (-1: all). With `follow`, new ones until `over()`."""
    assembler = Assembler()
    current = _open(directory / "log")
    held: deque[LogLine] | None = deque(maxlen=tail) if tail >= 0 else None
    try:
        for path in reversed(_rotated(directory, current)):
            with path.open("rb") as file:
                async for line in _drain(file, assembler):
                    if wanted.takes(line) and not _hold(held, line):
                        yield line
        if current:
            async for line in _drain(current, assembler):
                if wanted.takes(line) and not _hold(held, line):
                    yield line
        for line in held or ():
            yield line
        while follow:
            ending = over()  # asked first: what was written before the end is read still
            current = current or _open(directory / "log")
            for line in _more(current, assembler):
                if wanted.takes(line):
                    yield line
            if current and _replaced(current, directory / "log"):
                for line in _more(current, assembler):
                    if wanted.takes(line):
                        yield line
                current.close()
                current = None
            elif ending:
                break
            else:
                await asyncio.sleep(_POLL)
        for line in assembler.finish():
            if wanted.takes(line):
                yield line
    finally:
        if current:
            current.close()


def _hold(held: deque[LogLine] | None, line: LogLine) -> bool:
    if held is None:
        return False
    held.append(line)
    return True


async def _drain(file: BinaryIO, assembler: Assembler) -> AsyncIterator[LogLine]:
    while data := file.read(_CHUNK):
        for line in assembler.feed(data):
            yield line
        await asyncio.sleep(0)


def _more(file: BinaryIO | None, assembler: Assembler) -> Iterator[LogLine]:
    while file and (data := file.read(_CHUNK)):
        yield from assembler.feed(data)


def _rotated(directory: Path, current: BinaryIO | None) -> list[Path]:
    """The older files, newest first; not the open one, should it be rotated at this moment."""
    paths: list[Path] = []
    while (path := directory / f"log.{len(paths) + 1}").exists():
        paths.append(path)
    return [path for path in paths if not current or _replaced(current, path)]


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _replaced(file: BinaryIO, path: Path) -> bool:
    """Whether the path is another file by now."""
    try:
        return path.stat().st_ino != _inode(file)
    except FileNotFoundError:
        return False


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino


def _bytes(text: str) -> int:
    number, unit = text.lower().rstrip("b"), ""
    if number and number[-1] in _UNITS:
        number, unit = number[:-1], number[-1]
    if not number.isdigit() or int(number) == 0:
        raise ValueError(f'max-size "{text}" is no size like 10m')
    return int(number) * _UNITS[unit]
