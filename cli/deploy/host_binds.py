"""Binds of a stack to paths of this machine: warnings about them, and shipping them as configs.

A path below the project's directory or the user's home is on the machine where the command runs, but each host looks
it up on its own disk. `--ship-binds` makes configs of read-only files, which go to every host, and pins services with
other binds of this kind to this host. Pure, except `read_path`, which is passed in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from api.labels import DIGEST, NAMESPACE, SHORT_NAME
from api.service.container import ConfigReference, FileTarget, Mount
from api.service.placement import Placement
from api.stored_file import MOST_CONFIG
from api.stored_file_versions import digest_of, version_name
from compose.model.stack import Stack, StackFile, StackService

MOST_FILES = 50
"""Most files of a directory that are ship_binds as configs."""
_SOCKET = "docker.sock"


@dataclass(frozen=True, slots=True)
class BindSource:
    """What is at a path of this machine. `files`: path relative to it ("" for a file itself) → content and mode."""

    is_directory: bool = False
    files: Mapping[str, tuple[bytes, int]] | None = None
    """None: too many files, or one that a config cannot hold."""


ReadPath = Callable[[str], BindSource | None]
"""What is at a path; None for nothing."""


def read_path(path: str) -> BindSource | None:
    """Read a path of this machine's disk; None when nothing is there."""
    if os.path.isfile(path):
        content = _content(path)
        return BindSource(files={"": content} if content else None)
    if not os.path.isdir(path):
        return BindSource() if os.path.exists(path) else None
    files: dict[str, tuple[bytes, int]] = {}
    for folder, _, names in os.walk(path):
        for name in names:
            whole = os.path.join(folder, name)
            content = _content(whole) if len(files) < MOST_FILES else None
            if content is None:
                return BindSource(is_directory=True)
            files[os.path.relpath(whole, path)] = content
    return BindSource(is_directory=True, files=files)


def _content(path: str) -> tuple[bytes, int] | None:
    """A regular file's bytes and permission bits, if a config can hold it."""
    try:
        if not os.path.isfile(path) or not 0 < os.path.getsize(path) < MOST_CONFIG:
            return None
        with open(path, "rb") as file:
            return file.read(MOST_CONFIG), os.fstat(file.fileno()).st_mode & 0o777
    except OSError:
        return None


def bind_warnings(stack: Stack, own: Sequence[str], read_path: ReadPath) -> Iterator[str]:
    """A line for each bind that will not work on other hosts; `own` are the directories of this machine."""
    for service in stack.services:
        name = service.spec.name
        for mount in binds(service):
            found = read_path(mount.source)
            if os.path.basename(mount.source) == _SOCKET:
                yield (
                    f"{name} binds {mount.source}: it speaks to the engine of the host it runs on; for the whole"
                    " cluster place it on managers (node.role == manager)"
                )
            elif _is_own(mount.source, own) and found is None:
                yield f"{name} binds {mount.source}, which does not exist" + (
                    ": an empty directory is made on each host" if _is_made(mount) else "; its tasks will be rejected"
                )
            elif _is_own(mount.source, own):
                yield (
                    f"{name} binds {mount.source} of this machine: other hosts look for it on their own disks;"
                    " --ship-binds makes configs of read-only files, and keeps services with others here"
                )


def ship_binds(stack: Stack, own: Sequence[str], read_path: ReadPath, node_id: str) -> tuple[Stack, list[str]]:
    """The stack with this machine's binds shipped, and a note per change.

    `node_id` is this host's, for services that have to stay on it; "" when the daemon is not on this machine.
    """
    services: list[StackService] = []
    configs: dict[str, StackFile] = {file.name: file for file in stack.configs}
    notes: list[str] = []
    for service in stack.services:
        made = _Shipment(stack.name, service, own, read_path)
        configs |= {file.name: file for file in made.files}
        notes += made.notes
        services.append(_placed(made.service, node_id, notes) if made.has_to_stay else made.service)
    return replace(stack, services=tuple(services), configs=tuple(configs.values())), notes


class _Shipment:
    """One service's binds, shipped where possible."""

    def __init__(self, stack: str, service: StackService, own: Sequence[str], read_path: ReadPath) -> None:
        self.files: list[StackFile] = []
        self.notes: list[str] = []
        self.has_to_stay = False
        container = service.spec.task_template.container_spec
        mounts, uses = [], list(container.configs)
        for mount in container.mounts:
            is_mine = mount.type == "bind" and _is_own(mount.source, own) and not mount.source.endswith(_SOCKET)
            found = read_path(mount.source) if is_mine else None
            if found and found.files and mount.read_only:
                uses += self._configs(stack, service, mount, found)
                continue
            self.has_to_stay = self.has_to_stay or is_mine
            mounts.append(mount)
        container = structs.replace(container, mounts=mounts, configs=uses)
        task = structs.replace(service.spec.task_template, container_spec=container)
        self.service = replace(service, spec=structs.replace(service.spec, task_template=task))

    def _configs(self, stack: str, service: StackService, mount: Mount, found: BindSource) -> Iterator[ConfigReference]:
        for path, (data, mode) in sorted((found.files or {}).items()):
            target = os.path.join(mount.target, path) if path else mount.target
            short = (
                f"{service.short_name.replace('.', '-')}-bind-{digest_of(target.encode(), is_secret=False, salt='')}"
            )
            digest = digest_of(data, is_secret=False, salt="")
            name = version_name(f"{stack}_{short}", digest)
            self.files.append(StackFile(short, name, data, {NAMESPACE: stack, SHORT_NAME: short, DIGEST: digest}))
            yield ConfigReference(file=FileTarget(name=target, mode=mode), config_name=name)
        self.notes.append(f"{service.spec.name}: {mount.source} goes along as a config, to {mount.target}")


def _placed(service: StackService, node_id: str, notes: list[str]) -> StackService:
    """The service, pinned to this host."""
    name, task = service.spec.name, service.spec.task_template
    if not node_id:
        notes.append(
            f"{name}: has binds of this machine that cannot go along, and this machine is no host of the cluster"
        )
        return service
    placement = task.placement or Placement()
    constraints = [*placement.constraints, f"node.id == {node_id}"]
    task = structs.replace(task, placement=structs.replace(placement, constraints=constraints))
    notes.append(f"{name}: stays on this host, for its binds that can be written or are too big to go along")
    return replace(service, spec=structs.replace(service.spec, task_template=task))


def binds(service: StackService) -> list[Mount]:
    """The bind mounts of a service."""
    return [mount for mount in service.spec.task_template.container_spec.mounts if mount.type == "bind"]


def _is_own(path: str, own: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in own if folder not in ("", "/"))


def _is_made(mount: Mount) -> bool:
    return bool(mount.bind_options and mount.bind_options.create_mountpoint)
