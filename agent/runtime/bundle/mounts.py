"""A spec's mounts in the OCI's form. Making them checks bind sources and creates and fills volumes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.runtime.containers.container_record import MadeMount
from agent.runtime.interface import RuntimeFailure
from agent.runtime.volumes.local_volumes import Volumes
from api.errors import ArgosyError
from api.service.container import TMPFS_SWITCHES, TMPFS_VALUES, BindOptions, Mount, TmpfsOptions, VolumeOptions

_WITH_VALUE = ("size", "mode", *TMPFS_VALUES)
_TMPFS_OPTIONS = frozenset((*_WITH_VALUE, "ro", "rw", *TMPFS_SWITCHES))
_RECURSIVE_READ_ONLY = (5, 12)
"""The first kernel version with mount_setattr(2)."""


async def make(
    container: str,
    mounts: Sequence[Mount],
    image_volumes: Sequence[str],
    root: Path,
    volumes: Volumes,
    held: ExitStack,
) -> list[MadeMount]:
    """Make all mounts of a container with its root filesystem at `root`. Raises RuntimeFailure.

    The caller closes `held` once the container is made: it has its own mounts then.
    """
    targets = [_target(mount) for mount in mounts]
    if twice := next((t for n, t in enumerate(targets) if t in targets[:n]), ""):
        raise RuntimeFailure(f"invalid mount config: duplicate mount point: {twice}")
    wanted = [
        *mounts,
        *(Mount(type="volume", target=path) for path in image_volumes if path.rstrip("/") not in targets),
    ]
    made = []
    for mount in wanted:
        if mount.type == "bind":
            made.append(MadeMount(mount, await volumes.workers.run(f"looking at {mount.source}", _bind, mount)))
        elif mount.type == "tmpfs":
            made.append(MadeMount(mount, _tmpfs(mount)))
        else:
            made.append(await _volume(container, mount, root, volumes, held))
    return made


def _target(mount: Mount) -> str:
    if not mount.target.startswith("/") or mount.target.strip("/") == "":
        raise RuntimeFailure(
            f'invalid mount config for type "{mount.type}": mount path must be absolute and not "/": {mount.target!r}'
        )
    return mount.target.rstrip("/")


def _bind(mount: Mount) -> dict[str, Any]:
    options = mount.bind_options or BindOptions()
    source = Path(mount.source)
    if not source.is_absolute():
        raise RuntimeFailure(f'invalid mount config for type "bind": source path must be absolute: {mount.source}')
    if options.create_mountpoint and not source.exists():
        source.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        raise RuntimeFailure(f'invalid mount config for type "bind": bind source path does not exist: {mount.source}')
    return _bind_of(mount, str(source), options)


def _bind_of(mount: Mount, source: str, options: BindOptions) -> dict[str, Any]:
    propagation = options.propagation or "rprivate"
    # Without submounts "private" is the same as "rprivate"; crun would take the latter for rbind.
    flags = ["bind", propagation.removeprefix("r")] if options.non_recursive else ["rbind", propagation]
    flags.append(_access(mount, options, recursive=os.path.isdir(source)))
    return {"destination": _target(mount), "type": "bind", "source": source, "options": flags}


def _access(mount: Mount, options: BindOptions, *, recursive: bool) -> str:
    """The access option of a bind mount. A read-only one is recursive (`rro`) if the kernel can do it, as in Docker.

    `recursive` is False for a file, socket or device: it has no submounts, and crun 1.8 fails on `rro` there.
    """
    if not mount.read_only:
        return "rw"
    if not recursive or options.non_recursive or options.read_only_non_recursive:
        return "ro"
    can = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= _RECURSIVE_READ_ONLY
    if options.read_only_force_recursive and not can:
        raise RuntimeFailure(
            f"the mount at {mount.target} cannot be read-only with all below it: the kernel is too old"
        )
    return "rro" if can else "ro"


def _tmpfs(mount: Mount) -> dict[str, Any]:
    options = mount.tmpfs_options or TmpfsOptions()
    flags = ["nosuid", "nodev", "noexec"]
    for item in options.options:
        name, *value = item or [""]
        if name not in _TMPFS_OPTIONS or bool(value) != (name in _WITH_VALUE):
            raise RuntimeFailure(f'invalid mount config for type "tmpfs": invalid option {"=".join(item)!r}')
        flags = [flag for flag in flags if flag not in (f"no{name}", name.removeprefix("no"))]
        flags.append("=".join(item))
    if options.size_bytes:
        flags.append(f"size={options.size_bytes}")
    if options.mode:
        flags.append(f"mode={options.mode:o}")
    if mount.read_only:
        flags.append("ro")
    return {"destination": _target(mount), "type": "tmpfs", "source": "tmpfs", "options": flags}


async def _volume(container: str, mount: Mount, root: Path, volumes: Volumes, held: ExitStack) -> MadeMount:
    options = mount.volume_options or VolumeOptions()
    driver = options.driver_config
    name = mount.source or hashlib.sha256(f"{container} {mount.target}".encode()).hexdigest()
    try:
        volumes.create(
            name,
            driver.name if driver else "",
            dict(driver.options) if driver else {},
            dict(options.labels),
            anonymous=not mount.source,
        )
        filled = None if options.no_copy or options.subpath else root
        data = await volumes.use(name, filled, mount.target)
        looking = f"looking into volume {name}"
        if not options.subpath:
            return await volumes.workers.run(looking, _mounted, mount, str(data), name)
        part = await volumes.workers.run(looking, volumes.part, name, options.subpath)
        held.callback(volumes.drop_part, part)
        return await volumes.workers.run(looking, _mounted, mount, str(part), name)
    except (ArgosyError, OSError) as error:
        raise RuntimeFailure(f'invalid mount config for type "volume": {error}') from None


def _mounted(mount: Mount, source: str, name: str) -> MadeMount:
    return MadeMount(mount, _bind_of(mount, source, BindOptions()), name)
