"""Named and anonymous volumes of this host: `<root>/<name>/_data`, created and filled from the image at first use."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import structlog

from agent.runtime.interface import RuntimeFailure
from agent.runtime.volumes import rootfs_paths
from agent.runtime.volumes.mount_syscalls import bind, is_mount, mount_volume, unmount
from api.errors import Conflict, Invalid, NotFound, Unimplemented
from api.service.free_form_options import volume_option_problems
from kit import mirrored_file, process
from kit.directories import make_directory
from kit.thread_pool import ThreadPool
from kit.timing import Clock

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
"""A volume's name is a directory name, so it has at most 255 bytes."""


log = structlog.get_logger(__name__)

MOST_CALLS = 16
"""Calls into volumes' file systems that may run, or hang, at once."""
PATIENCE = 60.0
"""Seconds that such a call may take."""
_LONGEST_FILL = 1800.0
_FILL = 'mount --bind "$2" "$2"; mount -o remount,bind,nosymfollow "$2"; cd /; exec cp -a "$1" "$2/"'


class Volume(msgspec.Struct, frozen=True):
    """A volume's record, `<root>/<name>/volume.json`."""

    name: str
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    """Options of the local driver: type, device, o."""
    created: float = 0.0
    anonymous: bool = False
    """Deleted with its container."""


class Volumes:
    """The volumes below `root`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._parts = root / ".parts"
        make_directory(self._parts)
        for left in self._parts.iterdir():
            self.drop_part(left)
        self.workers = ThreadPool("volumes", MOST_CALLS, PATIENCE)
        """Threads for calls into volumes: their file systems may hang."""
        self.in_use: Callable[[str], list[str]] = lambda _: []
        """Ids of the containers that mount a volume; set by the runtime."""
        self.on_event: Callable[[str, str], None] = lambda *_: None
        """Called with an action (create, destroy) and the volume's name; set by the runtime."""

    def all(self) -> list[Volume]:
        """All volumes, in the order of their names."""
        names = sorted({path.parent.name for path in self._root.glob("*/volume.json*")})
        return [volume for name in names if (volume := self._readable(name))]

    def get(self, name: str) -> Volume:
        """The volume with a name. Raises NotFound."""
        try:
            return mirrored_file.load(self._record(name), msgspec.json.Decoder(Volume).decode)
        except (FileNotFoundError, Invalid):
            raise NotFound(f"get {name}: no such volume") from None
        except mirrored_file.Damaged as error:
            # A volume that is created anew would be empty and look like lost data.
            raise RuntimeFailure(f"volume {name}: {error}; put it right, or remove its directory") from None

    def data(self, name: str) -> Path:
        """The directory of a volume's content."""
        return self._root / name / "_data"

    def create(
        self,
        name: str,
        driver: str = "",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> Volume:
        """The volume with a name, created if it does not exist. Raises Invalid; Conflict if its options differ."""
        if driver not in ("", "local"):
            raise Invalid(f'volume driver "{driver}" is not known here; only "local" is (type=nfs among its options)')
        options = options or {}
        if problems := list(volume_option_problems("DriverOpts", options)):
            raise Invalid(f"create {name}: {problems[0]}")
        if "size" in options:
            raise Unimplemented(f"create {name}: DriverOpts.size: volumes have no quota here")
        path = self._record(name)
        if path.exists() or mirrored_file.copy_of(path).exists():
            found = self.get(name)
            if options and options != found.options:
                raise Conflict(f"volume {name} exists with other options: {found.options}")
            return found
        make_directory(self._root / name)
        make_directory(self.data(name), 0o755)  # the mode that containers see
        volume = Volume(name, labels or {}, options, self._clock(), anonymous)
        mirrored_file.save(path, msgspec.json.encode(volume))
        self.on_event("create", name)
        return volume

    async def use(self, name: str, root: Path | None, path: str = "") -> Path:
        """Mount the volume's file system, and fill an empty volume from `path` in `root` (None: leave it empty).

        Returns the directory of its content. Raises NotFound or RuntimeFailure; TimeoutError if its file system hangs.
        """
        volume, data = self.get(name), self.data(name)
        kind, device = volume.options.get("type", ""), volume.options.get("device", "")
        if (kind or device) and not is_mount(data):
            await mount_volume(kind, device, volume.options.get("o", ""), data)
        empty = await self.workers.run(f"looking into volume {name}", _is_empty, data) if root else False
        if root and empty:
            await self._fill(name, root, path)
        return data

    def part(self, name: str, subpath: str) -> Path:
        """Bind-mount the present file at a path in a volume elsewhere, since other users of the volume may change its
        links at any time. Blocking; the caller must call drop_part. Raises OSError, RuntimeFailure.
        """
        try:
            with rootfs_paths.opened(self.data(name), subpath) as found:
                target = self._parts / secrets.token_hex(8)
                if stat.S_ISDIR(os.fstat(found).st_mode):
                    target.mkdir(mode=0o700)
                else:
                    target.touch(mode=0o600)
                bind(f"/proc/self/fd/{found}", target)
                return target
        except OSError as error:
            raise OSError(f"volume {name} has no path {subpath}: {error.strerror}") from None

    def drop_part(self, target: Path) -> None:
        """Unmount a part; mounts made from it stay."""
        unmount(target)
        with suppress(OSError):  # rmdir only, never its content: it might still be mounted
            target.rmdir() if target.is_dir() else target.unlink(missing_ok=True)

    async def release(self, name: str) -> None:
        """After the removal of a container: unmount its volume, and delete it if anonymous, unless others use it."""
        try:
            volume = self.get(name)
        except NotFound:
            return
        if self.in_use(name):
            return
        if volume.options:
            await self.workers.run(f"unmounting volume {name}", unmount, self.data(name))
        if volume.anonymous:
            await self._delete(name)

    async def remove(self, name: str) -> None:
        """Delete the volume and its content. Raises NotFound, and Conflict while a container uses it."""
        self.get(name)
        if users := self.in_use(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await self.workers.run(f"unmounting volume {name}", unmount, self.data(name))
        await self._delete(name)

    async def _fill(self, name: str, root: Path, path: str) -> None:
        """Fill the volume from a directory of an image; does nothing if the path is no directory."""
        with ExitStack() as stack:
            try:
                source = stack.enter_context(rootfs_paths.opened(root, path))
            except OSError:
                return
            if not stat.S_ISDIR(os.fstat(source).st_mode):
                return
            # Another user of the volume may put symbolic links in it meanwhile: on this mount they are not followed.
            command = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _FILL, "fill")
            where = (f"/proc/self/fd/{source}/.", str(self.data(name)))
            try:
                result = await process.run(*command, *where, pass_fds=(source,), timeout=_LONGEST_FILL)
            except TimeoutError:
                raise RuntimeFailure(f"cannot fill volume {name}: no end within {_LONGEST_FILL:g} s") from None
        if not result.ok:
            raise RuntimeFailure(f"cannot fill volume {name} from the image: {result.complaint}")

    def _readable(self, name: str) -> Volume | None:
        try:
            return self.get(name)
        except NotFound:
            return None  # removed in the meantime
        except RuntimeFailure as error:
            log.error("a volume cannot be listed", why=str(error))
            return None

    async def _delete(self, name: str) -> None:
        try:
            await self.workers.run(f"deleting volume {name}", shutil.rmtree, self._root / name)
        except FileNotFoundError:
            raise NotFound(f"get {name}: no such volume") from None  # removed concurrently
        self.on_event("destroy", name)

    def _record(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"create {name[:255]}: a local volume name has 2 to 255 characters of [a-zA-Z0-9_.-],"
                " and includes invalid characters or is too short or too long"
            )
        return self._root / name / "volume.json"


def _is_empty(directory: Path) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is None
