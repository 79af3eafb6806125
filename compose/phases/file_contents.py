"""The contents of the secrets, configs and seccomp profiles that services use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from compose.model.load_state import LoadState
from compose.read.option_syntax import seccomp_path
from compose.read.tree import Path, TreeNode, items_of

_LIMITS = {"secrets": 500 * 1024, "configs": 1000 * 1024}
"""Bytes, as in Docker: a secret or config must be smaller."""
SECCOMP = "seccomp"
"""The kind of contents that are seccomp profiles, stored by path."""
SOURCES = ("file", "environment", "content")


def read_contents(state: LoadState) -> LoadState:
    """Read the contents of every secret, config and seccomp profile that a service uses."""
    contents: dict[tuple[str, str], bytes] = {}
    for kind in _LIMITS:
        defined = state.tree.at(kind)
        for name in dict.fromkeys(uses(state, kind)):
            node = defined.get(name)
            if node is not None and not node.is_broken:
                data = _data(state, kind, name, node)
                if data is not None:
                    contents[kind, name] = data
    for name, service in state.tree.at("services").items():
        for number, item in enumerate(items_of(service, "security_opt")):
            path = seccomp_path(item.text)
            where = ("services", name, "security_opt", f"[{number}]")
            profile = _profile(state, item, path, where) if path and (SECCOMP, path) not in contents else None
            if profile is not None:
                contents[SECCOMP, path] = profile
    return replace(state, contents=contents)


def uses(state: LoadState, kind: str) -> Iterator[str]:
    """Short names of the secrets or configs that services use, one per use."""
    for service in state.tree.at("services").values():
        listed = service.get(kind)
        for item in listed.items if listed else []:
            source = item.get("source")
            if source is not None and source.text:
                yield source.text


def _data(state: LoadState, kind: str, name: str, node: TreeNode) -> bytes | None:
    where = (kind, name)
    given = [key for key in SOURCES if (source := node.get(key)) and not source.is_broken]
    external = node.get("external")
    if external and (external.is_broken or external.value is True):
        return None
    if len(given) != 1:
        known = "file, environment, content or external" if kind == "configs" else "file, environment or external"
        have = f"has {' and '.join(given)}" if given else "has none of them"
        if not any((source := node.get(key)) and source.is_broken for key in SOURCES):
            state.report.error(node, where, f"must say one of {known}, and {have}")
        return None
    data = _source(state, node.entries[given[0]], (*where, given[0]))
    if data is not None and not 0 < len(data) < _LIMITS[kind]:
        size = "is empty" if not data else f"has {len(data)} bytes"
        limit = f"it must have at least one byte and fewer than {_LIMITS[kind]}"
        state.report.error(node.entries[given[0]], (*where, given[0]), f"{size}; {limit}")
        return None
    return data


def _source(state: LoadState, node: TreeNode, path: Path) -> bytes | None:
    if path[-1] == "content":
        return node.text.encode()
    if path[-1] == "environment":
        value = state.environment.get(node.text)
        if value is None:
            state.report.error(node, path, f"variable {node.text} is not set")
        return None if value is None else value.encode(errors="surrogateescape")
    return _read(state, node, node.text, path)


def _profile(state: LoadState, node: TreeNode, path: str, where: Path) -> bytes | None:
    """A seccomp profile, which must be JSON."""
    data = _read(state, node, path, where)
    try:
        msgspec.json.decode(data or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        state.report.error(node, where, f"{state.shown(path)} is no seccomp profile: {error}")
        return None
    return data


def _read(state: LoadState, node: TreeNode, path: str, where: Path) -> bytes | None:
    try:
        data = state.data(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        state.report.error(node, where, f"{state.shown(path)} cannot be read: {reason}")
        return None
    if data is None:
        state.report.error(node, where, f"there is no file {state.shown(path)}")
    return data
