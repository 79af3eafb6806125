"""Phase 6: make every path of the client's absolute, so that files of other directories can be put together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from compose.model.load_state import Work
from compose.read.tree import Node

Place = Callable[[Work, Node], Node]
_REMOTE = re.compile(r"[a-z+]+://|git@|github\.com/|[a-z-]+:|.*#.*")
"""What a build context may be besides a directory."""
_CUSTOM_SECCOMP = re.compile(r"seccomp[:=](?!unconfined$)(.+)$")


def locate(work: Work) -> Work:
    """The documents with absolute paths: relative to the project's directory, `~` is the user's home."""
    return replace(work, documents=tuple(_at(work, document, TOP) for document in work.documents))


def absolute(work: Work, path: str) -> str:
    """A path as the user of the command line means it."""
    home = work.environment.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return os.path.normpath(os.path.join(work.directory, path))


def _at(work: Work, node: Node, places: Mapping[str, Place]) -> Node:
    """The entries of a mapping, each put into its place."""
    if not isinstance(node.value, dict):
        return node
    entries = node.value
    moved = {key: place(work, entries[key]) for key, place in places.items() if key in entries}
    return node.with_value(entries | moved) if moved else node


def _path(work: Work, node: Node) -> Node:
    if not isinstance(node.value, str) or not node.value:
        return node
    return node.with_value(absolute(work, node.value))


def _each(place: Place) -> Place:
    """Every item of a list, every entry of a mapping."""

    def inner(work: Work, node: Node) -> Node:
        if isinstance(node.value, list):
            return node.with_value([place(work, item) for item in node.value])
        if isinstance(node.value, dict):
            return node.with_value({key: place(work, item) for key, item in node.value.items()})
        return node

    return inner


def _entries(places: Mapping[str, Place]) -> Place:
    return lambda work, node: _at(work, node, places)


def _mount(work: Work, node: Node) -> Node:
    kind = node.get("type")
    return _at(work, node, {"source": _path}) if kind and kind.value == "bind" else node


def _context(work: Work, node: Node) -> Node:
    """A directory, when it is no address."""
    return node if _REMOTE.match(node.text) else _path(work, node)


def _security(work: Work, node: Node) -> Node:
    match = _CUSTOM_SECCOMP.match(node.text)
    return node.with_value(f"seccomp:{absolute(work, match[1])}") if match else node


def _volume(work: Work, node: Node) -> Node:
    """A local volume that is a directory of the host: `driver_opts: {type: none, o: bind, device: ./data}`."""
    options = node.at("driver_opts")
    device, words = options.get("device"), options.get("o")
    if not device or not words or "bind" not in words.text.split(",") or not device.text.startswith((".", "~")):
        return node
    return node.with_value(node.entries | {"driver_opts": node.with_value(options | {"device": _path(work, device)})})


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
