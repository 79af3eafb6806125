"""Safe access to files of a container or image, with paths as a process inside would see them.

The kernel resolves links (openat2, Linux 5.6) with the container's root as `/`: no absolute link, `..`, concurrently
changed link or link of /proc leads out of it. Only regular files and directories are opened, never a FIFO, socket or
device, and reads are bounded.
"""

from __future__ import annotations

import ctypes
import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_OPENAT2 = 437  # the same number on every machine
_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10
_MOST_LINKS = 40
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link"),
)
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def read_small(root: Path | int, path: str, most: int) -> str | None:
    """The text of a file in the root at `root`; None if it does not exist.

    Raises OSError, with a readable message, if it is no regular file, has more than `most` bytes, or is unreadable.
    """
    try:
        with opened(root, path) as found:
            kind = os.fstat(found).st_mode
            if not stat.S_ISREG(kind):
                raise OSError(errno.EINVAL, f"it is {kind_of(kind)}, not a file")
            with open(reopened(found), "rb") as file:
                data = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes")
    return data.decode(errors="replace")


@cache
def own_descriptors() -> int:
    """A descriptor of /proc/self/fd. A process that changes its root must call this before."""
    return os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def reopened(fd: int) -> int:
    """Reopen an O_PATH descriptor for reading. The caller must know that it is no FIFO and no device."""
    return os.open(str(fd), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=own_descriptors())


@contextmanager
def opened(root: Path | int, path: str) -> Iterator[int]:
    """A descriptor (O_PATH) of `path` in the root, with all links followed. Raises OSError."""
    with _root(root) as base:
        found = open_in(base, path)
    try:
        yield found
    finally:
        os.close(found)


def open_in(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Open a path in the root with descriptor `root`; the caller closes the result. Raises OSError.

    With other flags than O_PATH the path must be known to be no FIFO and no device, or the flags include O_NONBLOCK.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path cannot have a zero byte in it")
    how = _How(flags | os.O_CLOEXEC, 0, _IN_ROOT | _NO_MAGICLINKS)
    name = os.fsencode(path.lstrip("/") or ".")
    while True:
        found: int = _libc.syscall(_OPENAT2, root, ctypes.c_char_p(name), ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number not in (errno.EINTR, errno.EAGAIN):  # EAGAIN: something was renamed meanwhile
            raise OSError(number, os.strerror(number), path)


def make_directory(root: Path | int, path: str) -> None:
    """Create a directory and its parents in the root, following links, if they do not exist. Raises OSError."""
    with _root(root) as base:
        _make(base, posixpath.normpath("/" + path), _MOST_LINKS)


def kind_of(mode: int) -> str:
    """The kind of file with that st_mode, in words."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "a file")


def _make(base: int, path: str, links: int) -> None:
    if path == "/":
        return
    try:
        os.close(open_in(base, path, os.O_PATH | os.O_DIRECTORY))
        return
    except FileNotFoundError:
        pass
    above, name = posixpath.split(path)
    _make(base, above, links)
    parent = open_in(base, above, os.O_PATH | os.O_DIRECTORY)
    try:
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
            return
        except FileExistsError:
            target = os.readlink(name, dir_fd=parent)  # the link's target does not exist yet
    finally:
        os.close(parent)
    if links <= 0:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    _make(base, posixpath.normpath(posixpath.join("/", above, target)), links - 1)


@contextmanager
def _root(root: Path | int) -> Iterator[int]:
    if isinstance(root, int):
        yield root
        return
    found = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield found
    finally:
        os.close(found)
