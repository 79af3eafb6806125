"""`volumes_from`, which gives a service the mounts of another one that can be shared: named volumes and binds."""

from __future__ import annotations

from collections.abc import Mapping

from compose.model.load_state import LoadState
from compose.phases.verify_network import absent
from compose.read.tree import Path, TreeNode, items_of, text_of


def with_volumes_from(state: LoadState, services: Mapping[str, TreeNode]) -> dict[str, TreeNode]:
    """The services with `volumes_from` turned into `volumes`. A service's own mount at the same target wins."""
    return {name: _with_mounts(state, services, name) if services[name].get("volumes_from") else services[name]
            for name in services}  # fmt: skip


def _with_mounts(state: LoadState, services: Mapping[str, TreeNode], name: str) -> TreeNode:
    service = services[name]
    own = items_of(service, "volumes")
    targets = {text_of(item, "target") for item in own}
    found: list[TreeNode] = [*own]
    for number, item in enumerate(items_of(service, "volumes_from")):
        where = ("services", name, "volumes_from", f"[{number}]")
        for mount in _mounts(state, services, item, where):
            target = text_of(mount, "target")
            if target not in targets:
                targets.add(target)
                found.append(mount)
    entries = {key: node for key, node in service.entries.items() if key != "volumes_from"}
    return service.with_value({**entries, "volumes": service.with_value(found)})


def _mounts(state: LoadState, services: Mapping[str, TreeNode], item: TreeNode, where: Path) -> list[TreeNode]:
    """The mounts of the service that an item names."""
    name, _, mode = item.text.partition(":")
    if item.is_broken:
        return []
    sentence = ""
    if name == "container":
        sentence = f"{item.text!r} is refused: a service can have the volumes of another service only"
    elif name not in services:
        sentence = absent(state, name, services)
    elif mode not in ("", "ro", "rw"):
        sentence = f"{item.text!r} is not of the form SERVICE, SERVICE:ro or SERVICE:rw"
    else:
        lent = items_of(services[name], "volumes")
        alone = [text_of(mount, "target") for mount in lent if not mount.is_broken and not text_of(mount, "source")]
        if not alone:
            return [_read_only(mount) if mode == "ro" else mount for mount in lent]
        sentence = f"what {name} has at {', '.join(alone)} is each container's own; give it a name under volumes"
    state.report.error(item, where, sentence)
    return []


def _read_only(mount: TreeNode) -> TreeNode:
    if mount.is_broken:
        return mount
    return mount.with_value({**mount.entries, "read_only": mount.with_value(True)})
