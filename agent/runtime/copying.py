"""Copies files out of and into a container's root, as a process of its own that has made that root its own.

So no link in the container, however fast it changes, leads out of it (Docker does the same). Nothing is loaded from
that root: neither Python modules nor the C library's name services (CVE-2019-14271). Run by agent/http/archive.py:

    python -m agent.runtime.copying stat|read|write ROOT PATH [owners] [no-overwrite]

`stat` and `read` write a line of JSON first (name, size, mode as Go has it, mtime, linkTarget); `read` then a tar
archive; `write` takes one, compressed or not. Exit codes: 3 there is no such file, 4 anything else, told on stderr.
"""

from __future__ import annotations

import bz2  # noqa: F401 - tarfile imports these at their first use, when they must not be looked for any more
import encodings.ascii
import encodings.latin_1  # noqa: F401
import json
import lzma  # noqa: F401
import os
import stat
import sys
import tarfile
import zlib  # noqa: F401
from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:  # loading typing takes as long as the copying of a small file
    from typing import IO

MISSING, FAILED = 3, 4
_GO_KINDS = ((stat.S_ISDIR, 31), (stat.S_ISLNK, 27), (stat.S_ISBLK, 26), (stat.S_ISFIFO, 25), (stat.S_ISSOCK, 24))
_GO_BITS = ((stat.S_ISUID, 23), (stat.S_ISGID, 22), (stat.S_ISVTX, 20))


def main(arguments: list[str]) -> int:
    """The exit code."""
    verb, root, path, *options = arguments
    streams = sys.stdin.buffer, sys.stdout.buffer
    try:
        _move_into(root)
        path = os.path.normpath("/" + path.lstrip("/")) + ("/" if path.endswith(("/", "/.")) and path != "/" else "")
        if verb == "write":
            _write(streams[0], path, owners="owners" in options, overwrite="no-overwrite" not in options)
            return 0
        found = os.lstat(path)
        streams[1].write(json.dumps(described(path, found)).encode() + b"\n")
        if verb == "read":
            name = os.path.basename(path.rstrip("/")) or "."
            with tarfile.open(fileobj=streams[1], mode="w|", format=tarfile.PAX_FORMAT) as archive:
                archive.add(path.rstrip("/") or "/", name, filter=_without_sockets)
        streams[1].flush()
    except (FileNotFoundError, NotADirectoryError) as error:
        print(error.strerror, file=sys.stderr)
        return MISSING
    except (OSError, tarfile.TarError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return FAILED
    return 0


def _move_into(root: str) -> None:
    """From here on nothing is imported, and no user or group is looked up by name."""
    sys.path.clear()
    sys.meta_path.clear()
    vars(tarfile).update(pwd=None, grp=None)
    os.chroot(root)
    os.chdir("/")


def described(path: str, found: os.stat_result) -> dict[str, object]:
    """Docker's ContainerPathStat."""
    return {
        "name": os.path.basename(path.rstrip("/")) or "/",
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime": datetime.fromtimestamp(found.st_mtime, UTC).isoformat(),
        "linkTarget": os.path.realpath(path) if stat.S_ISLNK(found.st_mode) else "",
    }


def go_mode(mode: int) -> int:
    """A file's mode as Go's os.FileMode has it."""
    result = stat.S_IMODE(mode) & 0o777
    for is_kind, bit in _GO_KINDS:
        result |= (1 << bit) if is_kind(mode) else 0
    for flag, bit in _GO_BITS:
        result |= (1 << bit) if mode & flag else 0
    if stat.S_ISCHR(mode):
        result |= 1 << 26 | 1 << 21
    return result


def _write(stream: IO[bytes], path: str, *, owners: bool, overwrite: bool) -> None:
    if not os.path.isdir(path):
        os.stat(path)  # tells of a missing one
        raise OSError(0, "not a directory")
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for entry in archive:
            target = os.path.join(path, entry.name)
            if not overwrite and os.path.lexists(target) and os.path.isdir(target) != entry.isdir():
                raise OSError(0, f"cannot overwrite {entry.name}: a directory and a file do not replace one another")
            if not owners:
                entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            archive.extract(entry, path, numeric_owner=True, filter="fully_trusted")


def _without_sockets(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
