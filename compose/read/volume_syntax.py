"""The short forms of volumes ("data:/var/lib/data:ro") and tmpfs, converted to the long form."""

from __future__ import annotations

import posixpath
import re

from api.service.container import TMPFS_SWITCHES, TMPFS_VALUES
from compose.read.report import Report
from compose.read.tree import Path, TreeNode
from compose.read.value_kinds import KindMismatch, size

_PROPAGATION = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
_SELINUX = ("z", "Z")
_CONSISTENCY = ("consistent", "cached", "delegated")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
_WINDOWS = re.compile(r"[a-zA-Z]:\\|\\\\")
_KNOWN = {
    "bind": ("ro", "rw", *_PROPAGATION, *_SELINUX, *_CONSISTENCY),
    "volume": ("ro", "rw", "nocopy", *_SELINUX, *_CONSISTENCY),
}
"""Options of the short form, by type."""


class BadVolume(Exception):
    """The text is not a valid mount; the message says why."""


def parse_short(text: str) -> dict[str, object]:
    """The entries of the long form. Raises BadVolume."""
    parts = text.split(":")
    is_drive = len(parts) > 2 and len(parts[0]) == 1 and parts[1].startswith("/") and parts[2].startswith("/")
    if is_drive or _WINDOWS.match(text):
        raise BadVolume(f"{text!r} begins with a path of Windows, which a Linux host does not have")
    if len(parts) > 3:
        raise BadVolume(f'{text!r} has too many parts; write "source:target" or "source:target:ro"')
    if not all(parts):
        raise BadVolume(f"{text!r} has an empty part")
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    entry: dict[str, object] = {"type": _type_of(source), "target": target}
    if source:
        entry["source"] = source
    return entry | (_options(parts[2], str(entry["type"])) if len(parts) == 3 else {})


def _type_of(source: str) -> str:
    if not source:
        return "volume"
    if source.startswith((".", "/", "~")):
        return "bind"
    if not _NAME.match(source):
        raise BadVolume(f'{source!r} is no name of a volume; a path begins with "/", "./" or "~/"')
    return "volume"


def _options(text: str, kind: str) -> dict[str, object]:
    found: dict[str, object] = {}
    bind: dict[str, object] = {}
    for option in text.split(","):
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy" and kind == "volume":
            found["volume"] = {"nocopy": True}
        elif option in _PROPAGATION and kind == "bind":
            bind["propagation"] = option
        elif option in _SELINUX:
            bind |= {"selinux": option}
        elif option in _CONSISTENCY:
            found["consistency"] = option
        else:
            known = _KNOWN[kind]
            raise BadVolume(f"{option!r} is not an option of a mount of type {kind}; known are {', '.join(known)}")
    return found | ({"bind": bind} if bind and kind == "bind" else {})


def long_volumes(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """`volumes` of a service in long form."""
    items: list[TreeNode] = []
    for number, item in enumerate(node.items):
        try:
            entry = parse_short(item.value) if isinstance(item.value, str) else None
            items.append(_with_clean_target(_marked(item, entry) if entry is not None else item))
        except BadVolume as error:
            items.append(report.error(item, (*path, f"[{number}]"), str(error)))
    return node.with_value([*items])


def _with_clean_target(item: TreeNode) -> TreeNode:
    """The mount with its target normalised: "/data/" is "/data"."""
    target = item.get("target")
    if target is None or not target.text.startswith("/"):
        return item
    clean = "/" + posixpath.normpath(target.text).lstrip("/")
    return item.with_value({**item.entries, "target": target.with_value(clean)})


def parse_tmpfs(text: str) -> dict[str, object]:
    """One `tmpfs` ("/run:size=64m,mode=1777") as entries of the long form of volumes. Raises BadVolume."""
    target, _, options = text.partition(":")
    if not target.startswith("/"):
        raise BadVolume(f"{target!r} is not an absolute path")
    settings: dict[str, object] = {}
    further: list[list[str]] = []
    entry: dict[str, object] = {"type": "tmpfs", "target": target}
    for option in options.split(",") if options else []:
        name, _, value = option.partition("=")
        try:
            if option in ("ro", "rw"):
                entry["read_only"] = option == "ro"
            elif name == "size":
                settings["size"] = size(value)
            elif name == "mode":
                settings["mode"] = int(value, 8)
            elif option in TMPFS_SWITCHES:
                further.append([option])
            elif name in TMPFS_VALUES and value:
                further.append([name, value])
            else:
                known = ", ".join(["size=", "mode=", *(f"{each}=" for each in TMPFS_VALUES), *TMPFS_SWITCHES])
                raise BadVolume(f"{option!r} is not an option of tmpfs; known are ro, rw, {known}")
        except (KindMismatch, ValueError):
            raise BadVolume(f"{value!r} is not a {name}") from None
    if further:
        settings["options"] = further
    return entry | ({"tmpfs": settings} if settings else {})


def _marked(item: TreeNode, entry: object) -> TreeNode:
    """Plain entries as nodes, all with the place of the short form."""
    if isinstance(entry, dict):
        return item.with_value({key: _marked(item, value) for key, value in entry.items()})
    return item.with_value(entry)  # type: ignore[arg-type]
