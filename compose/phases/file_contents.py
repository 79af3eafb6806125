"""What secrets, configs and seccomp profiles hold: of those that deployed services use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from compose.model.load_state import Work
from compose.read.option_syntax import seccomp_path
from compose.read.tree import Node, Path, items_of

_LIMITS = {"secrets": 500 * 1024, "configs": 1000 * 1024}
"""Bytes; Docker's: a secret or config must be smaller."""
SECCOMP = "seccomp"
"""Kind of the contents that are seccomp profiles; by path."""
SOURCES = ("file", "environment", "content")


def read_contents(work: Work) -> Work:
    """The contents of every secret and config that a service uses."""
    contents: dict[tuple[str, str], bytes] = {}
    for kind in _LIMITS:
        defined = work.tree.at(kind)
        for name in dict.fromkeys(uses(work, kind)):
            node = defined.get(name)
            if node is not None and not node.is_broken:
                data = _data(work, kind, name, node)
                if data is not None:
                    contents[kind, name] = data
    for name, service in work.tree.at("services").items():
        for number, item in enumerate(items_of(service, "security_opt")):
            path = seccomp_path(item.text)
            where = ("services", name, "security_opt", f"[{number}]")
            profile = _profile(work, item, path, where) if path and (SECCOMP, path) not in contents else None
            if profile is not None:
                contents[SECCOMP, path] = profile
    return replace(work, contents=contents)


def uses(work: Work, kind: str) -> Iterator[str]:
    """Short names of the secrets or configs services use, as often as they use them."""
    for service in work.tree.at("services").values():
        listed = service.get(kind)
        for item in listed.items if listed else []:
            source = item.get("source")
            if source is not None and source.text:
                yield source.text


def _data(work: Work, kind: str, name: str, node: Node) -> bytes | None:
    where = (kind, name)
    said = [key for key in SOURCES if (source := node.get(key)) and not source.is_broken]
    external = node.get("external")
    if external and (external.is_broken or external.value is True):
        return None
    if len(said) != 1:
        known = "file, environment, content or external" if kind == "configs" else "file, environment or external"
        have = f"has {' and '.join(said)}" if said else "has none of them"
        if not any((source := node.get(key)) and source.is_broken for key in SOURCES):
            work.report.wrong(node, where, f"must say one of {known}, and {have}")
        return None
    data = _source(work, node.entries[said[0]], (*where, said[0]))
    if data is not None and not 0 < len(data) < _LIMITS[kind]:
        size = "is empty" if not data else f"has {len(data)} bytes"
        limit = f"it must have at least one byte and fewer than {_LIMITS[kind]}"
        work.report.wrong(node.entries[said[0]], (*where, said[0]), f"{size}; {limit}")
        return None
    return data


def _source(work: Work, node: Node, path: Path) -> bytes | None:
    if path[-1] == "content":
        return node.text.encode()
    if path[-1] == "environment":
        value = work.environment.get(node.text)
        if value is None:
            work.report.wrong(node, path, f"variable {node.text} is not set")
        return None if value is None else value.encode(errors="surrogateescape")
    return _read(work, node, node.text, path)


def _profile(work: Work, node: Node, path: str, where: Path) -> bytes | None:
    """A seccomp profile; it is JSON."""
    data = _read(work, node, path, where)
    try:
        msgspec.json.decode(data or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        work.report.wrong(node, where, f"{work.shown(path)} is no seccomp profile: {error}")
        return None
    return data


def _read(work: Work, node: Node, path: str, where: Path) -> bytes | None:
    try:
        data = work.data(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        work.report.wrong(node, where, f"{work.shown(path)} cannot be read: {reason}")
        return None
    if data is None:
        work.report.wrong(node, where, f"there is no file {work.shown(path)}")
    return data
