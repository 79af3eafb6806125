"""Copies files out of and into a container's root, as a process of its own that has made that root its own.

So no link in the container, however fast it changes, leads out of it (Docker does the same); and each path is looked up
inside that root without the links of /proc (confined), which could lead to another. Nothing is loaded from that root:
neither Python modules nor the C library's name services (CVE-2019-14271). Only regular files are read, and what is
written is always a new file in the place of the old one: no FIFO or device is opened. Run by container_files.py:

    python -m agent.runtime.containers.copy_helper stat|read|write ROOT PATH [owners] [no-overwrite]

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
import posixpath
import shutil
import stat
import sys
import tarfile
import zlib  # noqa: F401
from datetime import UTC, datetime

from agent.runtime.volumes import rootfs_paths

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
        base = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = os.path.normpath("/" + path.lstrip("/")) + ("/" if path.endswith(("/", "/.")) and path != "/" else "")
        if verb == "write":
            Writing(base, path, owners="owners" in options, overwrite="no-overwrite" not in options).run(streams[0])
            return 0
        parent, name = _place(base, path)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        streams[1].write(json.dumps(described(path, found)).encode() + b"\n")
        if verb == "read":
            with tarfile.open(fileobj=streams[1], mode="w|", format=tarfile.PAX_FORMAT) as archive:
                Reading(archive).add(parent, name, os.path.basename(path.rstrip("/")) or ".")
        streams[1].flush()
    except (FileNotFoundError, NotADirectoryError) as error:
        print(error.strerror, file=sys.stderr)
        return MISSING
    except (OSError, tarfile.TarError, RecursionError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return FAILED
    return 0


def _move_into(root: str) -> None:
    """From here on nothing is imported, and no user or group is looked up by name."""
    rootfs_paths.own_descriptors()
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


def _place(base: int, path: str) -> tuple[int, str]:
    """A directory, and a name in it. A path that ends in a slash is what it leads to; any other may be a link."""
    if path.endswith("/"):  # the root, too
        return rootfs_paths.open_in(base, path, os.O_PATH | os.O_DIRECTORY), "."
    above, name = posixpath.split(path)
    return rootfs_paths.open_in(base, above, os.O_PATH | os.O_DIRECTORY), name


class Reading:
    """Files on their way into an archive. Links are never followed."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._seen: dict[tuple[int, int], str] = {}

    def add(self, parent: int, name: str, member: str) -> None:
        """A file or directory under the name `member`, with all below it; sockets are left out."""
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        entry = _entry(found, member)
        if stat.S_ISDIR(found.st_mode):
            self._archive.addfile(entry)
            self._add_below(parent, name, member)
        elif stat.S_ISREG(found.st_mode):
            self._add_file(parent, name, entry)
        elif stat.S_ISLNK(found.st_mode):
            entry.linkname = os.readlink(name, dir_fd=parent)
            self._archive.addfile(entry)
        elif not stat.S_ISSOCK(found.st_mode):
            self._archive.addfile(entry)

    def _add_below(self, parent: int, name: str, member: str) -> None:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for child in sorted(os.listdir(directory)):
                try:
                    self.add(directory, child, f"{member}/{child}")
                except FileNotFoundError:
                    continue  # gone meanwhile
        finally:
            os.close(directory)

    def _add_file(self, parent: int, name: str, entry: tarfile.TarInfo) -> None:
        fixed = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = os.fstat(fixed)
            if not stat.S_ISREG(found.st_mode):
                return  # the container has put something else in its place
            if (first := self._seen.get((found.st_dev, found.st_ino))) is not None:
                entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first, 0
                self._archive.addfile(entry)
                return
            if found.st_nlink > 1:
                self._seen[found.st_dev, found.st_ino] = entry.name
            entry.size = found.st_size
            with open(rootfs_paths.reopened(fixed), "rb") as file:
                self._archive.addfile(entry, file)
        finally:
            os.close(fixed)


def _entry(found: os.stat_result, member: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(member)
    kinds = (
        (stat.S_ISDIR, tarfile.DIRTYPE), (stat.S_ISLNK, tarfile.SYMTYPE), (stat.S_ISFIFO, tarfile.FIFOTYPE),
        (stat.S_ISCHR, tarfile.CHRTYPE), (stat.S_ISBLK, tarfile.BLKTYPE),
    )  # fmt: skip
    entry.type = next((kind for is_kind, kind in kinds if is_kind(found.st_mode)), tarfile.REGTYPE)
    entry.mode, entry.uid, entry.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    entry.mtime = found.st_mtime
    entry.devmajor, entry.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    return entry


class Writing:
    """Files on their way out of an archive, into the directory `path` of the root at `base`."""

    def __init__(self, base: int, path: str, *, owners: bool, overwrite: bool) -> None:
        self._base = base
        self._path = path
        self._owners = owners
        self._overwrite = overwrite

    def run(self, stream: IO[bytes]) -> None:
        """All of the archive."""
        os.umask(0)
        try:
            os.close(rootfs_paths.open_in(self._base, self._path, os.O_PATH | os.O_DIRECTORY))
        except NotADirectoryError:
            raise OSError(0, "not a directory") from None
        directories: list[tuple[str, float]] = []
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for entry in archive:
                where = self._of(entry.name)
                if where != "/":
                    self._take(archive, entry, where)
                if entry.isdir():
                    directories.append((where, entry.mtime))
        for where, mtime in reversed(directories):
            with rootfs_paths.opened(self._base, where) as found:
                os.utime(str(found), (mtime, mtime), dir_fd=rootfs_paths.own_descriptors())

    def _of(self, name: str) -> str:
        """Where a member goes; `..` leads no higher than the root."""
        return posixpath.normpath("/" + posixpath.join(self._path, name.lstrip("/")).lstrip("/"))

    def _take(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, where: str) -> None:
        above, name = posixpath.split(where)
        rootfs_paths.make_directory(self._base, above)
        parent = rootfs_paths.open_in(self._base, above, os.O_PATH | os.O_DIRECTORY)
        try:
            if self._clear(parent, name, entry):
                self._make(archive, entry, parent, name)
            self._own(entry, parent, name)
        finally:
            os.close(parent)

    def _clear(self, parent: int, name: str, entry: tarfile.TarInfo) -> bool:
        """Take away what is in its place; False for a directory that stays one."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        is_directory = stat.S_ISDIR(found.st_mode)
        if is_directory and entry.isdir():
            return False
        if not self._overwrite and is_directory != entry.isdir():
            raise OSError(0, f"cannot overwrite {entry.name}: a directory and a file do not replace one another")
        if is_directory:
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
        return True

    def _make(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, parent: int, name: str) -> None:
        mode = entry.mode & 0o7777
        if entry.isdir():
            os.mkdir(name, mode, dir_fd=parent)
        elif entry.issym():
            os.symlink(entry.linkname, name, dir_fd=parent)
        elif entry.islnk():
            above, target = posixpath.split(self._of(entry.linkname))
            with rootfs_paths.opened(self._base, above) as source:
                os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        elif entry.isfifo():
            os.mkfifo(name, mode, dir_fd=parent)
        elif entry.ischr() or entry.isblk():
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(name, mode | kind, os.makedev(entry.devmajor, entry.devminor), dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
                source_file = archive.extractfile(entry)
                if source_file:
                    shutil.copyfileobj(source_file, file)

    def _own(self, entry: tarfile.TarInfo, parent: int, name: str) -> None:
        """Owner, mode and time, of whatever it is, through a descriptor: nothing else can come in its place."""
        if entry.islnk():
            return
        fixed = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            uid, gid = (entry.uid, entry.gid) if self._owners else (0, 0)
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            if not entry.issym():
                os.chmod(str(fixed), entry.mode & 0o7777, dir_fd=rootfs_paths.own_descriptors())
            if not entry.issym() and not entry.isdir():
                os.utime(str(fixed), (entry.mtime, entry.mtime), dir_fd=rootfs_paths.own_descriptors())
        finally:
            os.close(fixed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
