"""Small records kept twice, `NAME` and `NAME.copy`: what damages one (a bad block, a hand) leaves the other.

For what nothing else could tell again: which container, which volume, which network a host has made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from kit.files import replace_file

T = TypeVar("T")
SUFFIX = ".copy"

log = structlog.get_logger(__name__)


class Damaged(Exception):
    """Neither file of a record can be read; the sentence names it."""


def copy_of(path: Path) -> Path:
    """Where the second one is."""
    return path.with_name(path.name + SUFFIX)


def original(path: Path) -> Path:
    """The first file's path, from either's."""
    return path.with_name(path.name.removesuffix(SUFFIX))


def save(path: Path, data: bytes) -> None:
    """Write both, each as a whole."""
    replace_file(path, data)
    replace_file(copy_of(path), data)


def load(path: Path, read: Callable[[bytes], T]) -> T:
    """What `read` makes of the first file that it takes (it raises ValueError for what it does not).

    Raises FileNotFoundError when there is none of the two, Damaged when there is but none is readable.
    """
    problems: list[str] = []
    for each in (path, copy_of(path)):
        try:
            found = read(each.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append(f"{each.name}: {error}")
            continue
        if problems:
            log.error("a record is damaged; its copy is used", file=str(path), problem=problems[0])
        return found
    if not problems:
        raise FileNotFoundError(path)
    raise Damaged(f"the record {path} is damaged, and so is its copy")


def remove(path: Path) -> None:
    """Delete both; nothing happens where there is none."""
    path.unlink(missing_ok=True)
    copy_of(path).unlink(missing_ok=True)
