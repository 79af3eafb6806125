"""What is mounted into containers, as users say it; part of api/service/service_spec.py, where it is imported from."""

from __future__ import annotations

from typing import Literal

from api.codec import Value

MOUNT_TYPES = ("bind", "volume", "tmpfs")
"""Those that Argosy makes."""

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
"""Whether mounts made later go from the host to a container, or back; the first is the usual one."""


class BindOptions(Value, frozen=True):
    """How a bind mount is made."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class Driver(Value, frozen=True):
    """A driver and its options (volumes, logs)."""

    name: str = ""
    options: dict[str, str] = {}


class VolumeOptions(Value, frozen=True):
    """How a volume is made when it does not exist yet."""

    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: Driver | None = None
    subpath: str = ""


TMPFS_VALUES = ("uid", "gid", "nr_inodes", "nr_blocks", "mpol")
TMPFS_SWITCHES = (
    "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync", "atime", "noatime", "diratime",
    "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
)  # fmt: skip
"""What Docker takes for a tmpfs besides ro, rw, size and mode."""


class TmpfsOptions(Value, frozen=True):
    """Size in bytes (0: half the memory), mode as file permission bits."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] = []


class Mount(Value, frozen=True):
    """One mount of a container."""

    type: Literal["bind", "volume", "tmpfs", "npipe", "cluster", "image"] = "bind"
    """The last three are Docker's, and refused (api/service/unsupported.py)."""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
