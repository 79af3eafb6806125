"""The log chain: the files of one container's log read as one file, the rotated ones first.

conmon writes `log`; `log.1` is the file before it, `log.2` the one before that; `log.rotations` counts rotations. A
reader knows its file by inode, so renaming does no harm, and by the count it notices files that were deleted unread.
Rotation and reading run on the same event loop, so each sees the other's work complete.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 18
_COUNT = "log.rotations"


def rotations(directory: Path) -> int:
    """The number of rotations of the log; 0 if there is no count."""
    try:
        return int((directory / _COUNT).read_bytes()[:20])
    except (OSError, ValueError):
        return 0


def count_rotation(directory: Path) -> None:
    """Increment the number of rotations."""
    (directory / _COUNT).write_text(str(rotations(directory) + 1))


class LogChain:
    """A reader's position in the log; begins with the oldest file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._position = 0
        """The file's number when it was opened: 0 is `log`, n is `log.n`."""
        self._count = 0
        """The number of rotations when the file was opened."""
        self.lost = False
        """Whether files were deleted unread since this was last set to False."""
        self._open(self._oldest())

    def read(self) -> bytes:
        """The next bytes; b"" if there are none now."""
        while True:
            if self._file is None and not self._open(0):
                return b""
            assert self._file is not None, "it was opened just now"
            if data := self._file.read(_CHUNK):
                return data
            if not self._is_replaced():
                return b""
            # conmon may have written between the look and its opening of the next file
            if data := self._file.read(_CHUNK):
                return data
            self._go_on()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, position: int) -> Path:
        return self._directory / (f"log.{position}" if position else "log")

    def _oldest(self) -> int:
        position = 0
        while self._path(position + 1).exists():
            position += 1
        return position

    def _open(self, position: int) -> bool:
        try:
            self._file = self._path(position).open("rb")
        except FileNotFoundError:
            return False
        self._position, self._count = position, rotations(self._directory)
        return True

    def _is_replaced(self) -> bool:
        """Whether a newer file exists, so that this one is complete."""
        try:
            return (self._directory / "log").stat().st_ino != self._inode()
        except FileNotFoundError:
            return self._found_at() > 1

    def _inode(self) -> int:
        assert self._file is not None, "asked of an open file only"
        return os.fstat(self._file.fileno()).st_ino

    def _found_at(self) -> int:
        """This file's present number; -1 if it was deleted."""
        inode = self._inode()
        for position in range(self._oldest() + 1):
            try:
                if self._path(position).stat().st_ino == inode:
                    return position
            except FileNotFoundError:
                continue
        return -1

    def _go_on(self) -> None:
        """Open the next file, or the oldest one that exists."""
        here, oldest = self._found_at(), self._oldest()
        after = here - 1
        if here < 0:
            after = self._position + rotations(self._directory) - self._count - 1
            self.lost = self.lost or not 0 <= after <= oldest  # below 0: conmon has put on its brake
            after = min(max(after, 0), oldest)
        self.close()
        self._open(after)
