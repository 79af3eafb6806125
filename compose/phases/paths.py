"""Phase 6: make all client paths absolute, so that files of different directories can be merged."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from compose.model.load_state import LoadState
from compose.read.tree import TreeNode

Place = Callable[[LoadState, TreeNode], TreeNode]
_REMOTE = re.compile(r"[a-z+]+://|git@|github\.com/|[a-z-]+:|.*#.*")
"""Build contexts that are not directories."""
_CUSTOM_SECCOMP = re.compile(r"seccomp[:=](?!unconfined$)(.+)$")


def absolute_paths(state: LoadState) -> LoadState:
    """Make the documents' paths absolute: relative to the project directory, `~` to the user's home."""
    return replace(state, documents=tuple(_at(state, document, TOP) for document in state.documents))


def absolute(state: LoadState, path: str) -> str:
    """The absolute form of one path."""
    home = state.environment.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return os.path.normpath(os.path.join(state.directory, path))


def _at(state: LoadState, node: TreeNode, places: Mapping[str, Place]) -> TreeNode:
    """A mapping whose entries named in `places` are converted."""
    if not isinstance(node.value, dict):
        return node
    entries = node.value
    moved = {key: place(state, entries[key]) for key, place in places.items() if key in entries}
    return node.with_value(entries | moved) if moved else node


def _path(state: LoadState, node: TreeNode) -> TreeNode:
    if not isinstance(node.value, str) or not node.value:
        return node
    return node.with_value(absolute(state, node.value))


def _each(place: Place) -> Place:
    """A conversion of every item of a list or entry of a mapping."""

    def inner(state: LoadState, node: TreeNode) -> TreeNode:
        if isinstance(node.value, list):
            return node.with_value([place(state, item) for item in node.value])
        if isinstance(node.value, dict):
            return node.with_value({key: place(state, item) for key, item in node.value.items()})
        return node

    return inner


def _entries(places: Mapping[str, Place]) -> Place:
    return lambda state, node: _at(state, node, places)


def _mount(state: LoadState, node: TreeNode) -> TreeNode:
    kind = node.get("type")
    return _at(state, node, {"source": _path}) if kind and kind.value == "bind" else node


def _context(state: LoadState, node: TreeNode) -> TreeNode:
    """A build context; addresses stay as they are."""
    return node if _REMOTE.match(node.text) else _path(state, node)


def _security(state: LoadState, node: TreeNode) -> TreeNode:
    match = _CUSTOM_SECCOMP.match(node.text)
    return node.with_value(f"seccomp:{absolute(state, match[1])}") if match else node


def _volume(state: LoadState, node: TreeNode) -> TreeNode:
    """A local volume that binds a host directory: `driver_opts: {type: none, o: bind, device: ./data}`."""
    options = node.at("driver_opts")
    device, words = options.get("device"), options.get("o")
    if not device or not words or "bind" not in words.text.split(",") or not device.text.startswith((".", "~")):
        return node
    return node.with_value(node.entries | {"driver_opts": node.with_value(options | {"device": _path(state, device)})})


SERVICE: dict[str, Place] = {
    "build": _entries({"context": _context, "additional_contexts": _each(_context)}),
    "env_file": _each(_entries({"path": _path})),
    "extends": _entries({"file": _path}),
    "label_file": _each(_path),
    "security_opt": _each(_security),
    "volumes": _each(_mount),
}
TOP: dict[str, Place] = {
    "configs": _each(_entries({"file": _path})),
    "include": _each(_entries({"path": _each(_path), "env_file": _each(_path), "project_directory": _path})),
    "secrets": _each(_entries({"file": _path})),
    "services": _each(_entries(SERVICE)),
    "volumes": _each(_volume),
}
