"""Mount system calls: overlay root filesystems, bind mounts, tmpfs, and volumes with their own file system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from agent.runtime.interface import RuntimeFailure
from kit import process

_MNT_DETACH = 2
_MS_NOSUID, _MS_NODEV = 2, 4
_MS_BIND, _MS_REC = 0x1000, 0x4000
_PAGE = 4096
PATIENCE = 60.0
"""Seconds that mounting a volume may take, since its server may be down."""
_libc = ctypes.CDLL(None, use_errno=True)


def mount_overlay(lower: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Mount a writable root over the layers (`lower`, uppermost first). Raises RuntimeFailure.

    The kernel takes one page of options. If absolute paths do not fit, numbered links to the layers are made beside
    `upper` and named through a descriptor of that directory: 20 bytes each.
    """
    tail = f"upperdir={upper},workdir={work}"
    options = f"lowerdir={':'.join(map(str, lower))},{tail}"
    if len(options) < _PAGE:
        _mount("overlay", str(target), "overlay", options)
        return
    links = upper.parent / "lower"
    links.mkdir(exist_ok=True)
    for number, path in enumerate(lower):
        (links / str(number)).symlink_to(path)
    fd = os.open(links, os.O_PATH | os.O_DIRECTORY)
    try:
        short = ":".join(f"/proc/self/fd/{fd}/{number}" for number in range(len(lower)))
        _mount("overlay", str(target), "overlay", f"lowerdir={short},{tail}")
    finally:
        os.close(fd)


def mount_tmpfs(target: Path, size: int) -> None:
    """Mount a tmpfs of `size` bytes that only root can enter; not swapped out if the kernel supports that (6.4).

    Raises RuntimeFailure.
    """
    options = f"mode=0700,size={size}"
    try:
        _mount("tmpfs", str(target), "tmpfs", f"{options},noswap", _MS_NOSUID | _MS_NODEV)
    except RuntimeFailure:
        _mount("tmpfs", str(target), "tmpfs", options, _MS_NOSUID | _MS_NODEV)


def bind(source: str, target: Path) -> None:
    """Bind-mount a file or directory with all mounts below it. Raises RuntimeFailure."""
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND | _MS_REC, None) != 0:
        raise RuntimeFailure(f"cannot bind {source} to {target}: {os.strerror(ctypes.get_errno())}")


def unmount(target: Path) -> None:
    """Detach what is mounted at `target`, if anything is."""
    while is_mount(target) and _libc.umount2(os.fsencode(target), _MNT_DETACH) == 0:
        pass


def is_mount(target: Path) -> bool:
    """Whether something, also a bind mount, is mounted at `target`."""
    path = str(target).replace(" ", "\\040")
    with open("/proc/self/mountinfo") as file:
        return any(line.split(" ", 5)[4] == path for line in file)


async def mount_volume(kind: str, device: str, options: str, target: Path) -> None:
    """Mount a volume's file system by its driver options (type, device, o), with mount(8). Raises RuntimeFailure."""
    if kind.startswith("nfs"):
        device, options = _nfs(device, options)
    flags = ["-o", options] if options else []
    wanted = ["-t", kind] if kind and kind not in ("none", "bind") else []
    if kind == "bind" and "bind" not in options.split(","):
        flags = ["-o", f"bind,{options}" if options else "bind"]
    what = f"volume {target.parent.name} ({kind} {device})"
    try:
        result = await process.run("mount", *wanted, *flags, device or kind, str(target), timeout=PATIENCE)
    except TimeoutError:
        raise RuntimeFailure(f"cannot mount {what}: no answer within {PATIENCE:g} s") from None
    if not result.ok:
        raise RuntimeFailure(f"cannot mount {what}: {result.complaint}")


def _nfs(device: str, options: str) -> tuple[str, str]:
    """Device and options for mount.nfs, from Docker's form (`addr=` among the options, device ":/path")."""
    items = [item for item in options.split(",") if item]
    address = next((item[5:] for item in items if item.startswith("addr=")), "")
    if address and device.startswith(":"):
        return address + device, ",".join(item for item in items if not item.startswith("addr="))
    return device, options


def _mount(source: str, target: str, kind: str, options: str, flags: int = 0) -> None:
    if _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, os.fsencode(options)) != 0:
        number = ctypes.get_errno()
        raise RuntimeFailure(f"cannot mount {kind} at {target}: {os.strerror(number)}")
