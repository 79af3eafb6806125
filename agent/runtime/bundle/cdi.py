"""The Container Device Interface (CDI): devices by name, from files that say what a container needs for each device.

Vendors' tools write the files (`nvidia-ctk cdi generate`). Format: github.com/cncf-tags/container-device-interface
SPEC.md. The host announces the names (agent/node_description.py), so that the scheduler finds a host with the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from agent.runtime.bundle.device_nodes import node_at
from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci.resource_limits import DeviceNode
from api.errors import NotFound
from api.service.host_config import DeviceRequest, device_names

DIRECTORIES = (Path("/etc/cdi"), Path("/var/run/cdi"))
"""Files in later directories win."""


class NodeEdit(msgspec.Struct, rename="camel"):
    """A device node to add."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class MountEdit(msgspec.Struct, rename="camel"):
    """A mount to add."""

    host_path: str
    container_path: str
    options: list[str] = []
    type: str = ""


class HookEdit(msgspec.Struct, rename="camel"):
    """An OCI hook to add."""

    hook_name: str
    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class Edits(msgspec.Struct, rename="camel"):
    """Changes to a container."""

    env: list[str] = []
    device_nodes: list[NodeEdit] = []
    mounts: list[MountEdit] = []
    hooks: list[HookEdit] = []
    additional_gids: list[int] = msgspec.field(default=[], name="additionalGids")


class NamedDevice(msgspec.Struct, rename="camel"):
    """A device in a CDI file."""

    name: str
    container_edits: Edits = msgspec.field(default_factory=Edits)


class Specification(msgspec.Struct, rename="camel"):
    """A CDI file: devices of one kind, "vendor.com/class"."""

    kind: str
    devices: list[NamedDevice] = []
    container_edits: Edits = msgspec.field(default_factory=Edits)
    """Changes to every container that uses one of the devices."""


@dataclass(frozen=True, slots=True)
class CdiDevices:
    """The devices that a host offers, by "kind=name"."""

    devices: Mapping[str, Sequence[Edits]] = field(default_factory=dict)
    broken: Sequence[str] = ()
    """Files that could not be read."""


def read(directories: Sequence[Path] = DIRECTORIES) -> CdiDevices:
    """Read all CDI files in the directories. Unreadable ones are listed in `broken`."""
    devices: dict[str, Sequence[Edits]] = {}
    broken: list[str] = []
    for path in (path for directory in directories for path in sorted(directory.glob("*"))):
        if path.suffix not in (".json", ".yaml", ".yml"):
            continue
        try:
            found = msgspec.convert(yaml.safe_load(path.read_bytes()), Specification)
        except (OSError, yaml.YAMLError, msgspec.ValidationError):
            broken.append(str(path))
            continue
        for device in found.devices:
            devices[f"{found.kind}={device.name}"] = (found.container_edits, device.container_edits)
    return CdiDevices(devices, broken)


def stamp(directories: Sequence[Path] = DIRECTORIES) -> frozenset[tuple[str, int]]:
    """A value that changes when a CDI file changes: paths and modification times."""
    found = set()
    for path in (path for directory in directories for path in directory.glob("*")):
        try:
            found.add((str(path), path.stat().st_mtime_ns))
        except OSError:
            continue  # gone since the directory was read
    return frozenset(found)


def wanted(requests: Iterable[DeviceRequest], offered: CdiDevices) -> list[Edits]:
    """The edits for the requested devices, each once. Raises RuntimeFailure if this host does not offer one."""
    edits: list[Edits] = []
    known = list(offered.devices)
    try:
        names = [name for request in requests for name in device_names(request, known)]
    except NotFound as error:
        unread = f" ({', '.join(offered.broken)} could not be read)" if offered.broken else ""
        raise RuntimeFailure(f"{error}; devices are what CDI files in /etc/cdi and /var/run/cdi name{unread}") from None
    for name in dict.fromkeys(names):
        edits += [edit for edit in offered.devices[name] if edit not in edits]
    return edits


def nodes(edits: Iterable[Edits]) -> list[DeviceNode]:
    """The device nodes of edits. Raises RuntimeFailure if one does not exist on this host."""
    return [_node(edit) for one in edits for edit in one.device_nodes]


def mounts(edits: Iterable[Edits]) -> list[dict[str, Any]]:
    """The mounts of edits, in the OCI's form."""
    return [
        {
            "destination": mount.container_path,
            "type": mount.type or "bind",
            "source": mount.host_path,
            "options": mount.options or ["rbind", "ro"],
        }
        for one in edits
        for mount in one.mounts
    ]


def applied(config: dict[str, Any], edits: Sequence[Edits]) -> dict[str, Any]:
    """config.json with the environment, groups and hooks of edits."""
    if not edits:
        return config
    names = {item.partition("=")[0] for one in edits for item in one.env}
    process = config["process"]
    kept = [item for item in process["env"] if item.partition("=")[0] not in names]
    groups = {*process["user"]["additionalGids"], *(gid for one in edits for gid in one.additional_gids)}
    process = {
        **process,
        "env": [*kept, *(item for one in edits for item in one.env)],
        "user": {**process["user"], "additionalGids": sorted(groups)},
    }
    hooks: dict[str, list[dict[str, Any]]] = {}
    for hook in (hook for one in edits for hook in one.hooks):
        values = {"path": hook.path, "args": hook.args, "env": hook.env, "timeout": hook.timeout}
        hooks.setdefault(hook.hook_name, []).append({name: value for name, value in values.items() if value})
    return {**config, "process": process, **({"hooks": hooks} if hooks else {})}


def _node(edit: NodeEdit) -> DeviceNode:
    source, access = edit.host_path or edit.path, edit.permissions or "rwm"
    try:
        found = node_at(source, edit.path, access)
    except OSError as error:
        raise RuntimeFailure(f"device {source}, which a CDI file names, cannot be used: {error.strerror}") from None
    if found is None:
        raise RuntimeFailure(f"device {source}, which a CDI file names, is no device node")
    return DeviceNode(
        path=edit.path,
        kind=found.kind,
        major=found.major if edit.major is None else edit.major,
        minor=found.minor if edit.minor is None else edit.minor,
        mode=found.mode if edit.file_mode is None else edit.file_mode,
        uid=found.uid if edit.uid is None else edit.uid,
        gid=found.gid if edit.gid is None else edit.gid,
        access=access,
    )
