"""Small files kept twice, as `NAME` and `NAME.copy`: damage to one (a bad block, an edit by hand) leaves the other.

For facts that exist nowhere else: which containers, volumes and networks a host has created.
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
    """Neither of the two files can be read; the sentence names the file."""


def copy_of(path: Path) -> Path:
    """The path of the copy."""
    return path.with_name(path.name + SUFFIX)


def original(path: Path) -> Path:
    """The path of the first file, given either path."""
    return path.with_name(path.name.removesuffix(SUFFIX))


def save(path: Path, data: bytes) -> None:
    """Write both files, each atomically."""
    replace_file(path, data)
    replace_file(copy_of(path), data)


def load(path: Path, read: Callable[[bytes], T]) -> T:
    """The result of `read` for the first file that it accepts; it raises ValueError to reject one.

    Raises FileNotFoundError when neither file exists, Damaged when `read` accepts none.
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
    """Delete both files, if they exist."""
    path.unlink(missing_ok=True)
    copy_of(path).unlink(missing_ok=True)
