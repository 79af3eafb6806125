"""Device nodes of this host: those a spec names by path, all for privileged containers, and the numbers of disks.

The nodes that privileged containers do not get are those of containerd oci/utils_unix.go `getDevices`, as in Docker.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci.resource_limits import DeviceNode
from api.service.host_config import Device, HostConfig

_OWN_DIRECTORIES = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
_DEVICES = Path("/dev")


def wanted_nodes(wanted: HostConfig) -> list[DeviceNode]:
    """A container's device nodes besides the default ones. Raises RuntimeFailure if one does not exist."""
    nodes = list(_below(_DEVICES, "rwm")) if wanted.privileged else []
    for device in wanted.devices:
        nodes += _asked(device)
    # A device named by the spec wins over the same one of a privileged container.
    return list({node.path: node for node in nodes}.values())


def node_at(path: str, inside: str = "", access: str = "rwm") -> DeviceNode | None:
    """The device node at a path of this host, as the container gets it; None if the file is no device node.

    Raises OSError.
    """
    found = os.stat(path)
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return None
    return DeviceNode(
        path=inside or path,
        kind="c" if stat.S_ISCHR(found.st_mode) else "b",
        major=os.major(found.st_rdev),
        minor=os.minor(found.st_rdev),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        access=access,
    )


def disk_numbers(wanted: HostConfig) -> dict[str, tuple[int, int]]:
    """Major and minor numbers of the block devices named in I/O limits, by path. Raises RuntimeFailure."""
    limits: Iterable[str] = (
        device.path
        for devices in (
            wanted.blkio_weight_device,
            wanted.blkio_device_read_bps,
            wanted.blkio_device_write_bps,
            wanted.blkio_device_read_iops,
            wanted.blkio_device_write_iops,
        )
        for device in devices
    )
    return {path: _disk(path) for path in limits}


def _disk(path: str) -> tuple[int, int]:
    try:
        node = node_at(path)
    except OSError as error:
        raise RuntimeFailure(f"cannot limit the I/O of {path}: {error.strerror}") from None
    if node is None:
        raise RuntimeFailure(f"cannot limit the I/O of {path}: it is no device")
    return node.major, node.minor


def _asked(device: Device) -> list[DeviceNode]:
    source, inside = device.path_on_host, device.path_in_container or device.path_on_host
    access = device.cgroup_permissions or "rwm"
    failed = f"error gathering device information while adding custom device {source!r}"
    try:
        node = node_at(source, inside, access)
    except OSError as error:
        raise RuntimeFailure(f"{failed}: {error.strerror}") from None
    if node:
        return [node]
    if not os.path.isdir(source):
        raise RuntimeFailure(f"{failed}: not a device node")
    found = [
        DeviceNode(inside + node.path.removeprefix(source.rstrip("/")), node.kind, node.major, node.minor, node.mode,
                   node.uid, node.gid, access)
        for node in _below(Path(source), access)
    ]  # fmt: skip
    if not found:
        raise RuntimeFailure(f"{failed}: no devices in it")
    return found


def _below(directory: Path, access: str) -> Iterator[DeviceNode]:
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_symlink() or entry.path == "/dev/console":
            continue
        if entry.is_dir():
            if entry.name not in _OWN_DIRECTORIES:
                yield from _below(Path(entry.path), access)
        elif node := _there(entry.path, access):
            yield node


def _there(path: str, access: str) -> DeviceNode | None:
    try:
        return node_at(path, access=access)
    except OSError:
        return None  # gone since the directory was read
