"""Phase 7: `include`: other projects' files, each with a directory and an environment of its own, become a part.

An included project goes through the phases up to `merge` by itself, so what is imported is canonical and its paths
are absolute.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from compose.model.load_state import Phase, Work
from compose.phases.canonical import canonical
from compose.phases.check import check
from compose.phases.extend import extend
from compose.phases.interpolate import interpolate
from compose.phases.merge import merge, merged_over
from compose.phases.paths import locate
from compose.phases.sources import environment_of, read_sources
from compose.read.tree import Node

_KINDS = ("services", "networks", "volumes", "secrets", "configs")


def include(work: Work) -> Work:
    """The documents with what they include in them."""
    return replace(work, documents=tuple(_document(work, document) for document in work.documents))


def _document(work: Work, document: Node) -> Node:
    listed = document.get("include")
    if listed is None:
        return document
    entries = {key: node for key, node in document.entries.items() if key != "include"}
    for number, item in enumerate(listed.items):
        if not item.is_broken:
            imported = _load(work, item, number)
            entries = _join(work, entries, imported, item)
    return document.with_value(entries)


def _load(work: Work, item: Node, number: int) -> Node:
    """The tree of an included project."""
    paths = _texts(item.get("path"))
    trail = [*work.within, *_absolute(work)]
    circle = next(([*trail[trail.index(path) :], path] for path in paths if path in trail), [])
    if circle or not paths:
        way = " → ".join(work.shown(path) for path in circle)
        sentence = f"goes in a circle: {way}" if circle else "names no file"
        return work.report.wrong(item, ("include", f"[{number}]"), sentence).with_value({})
    for path in paths:
        if not _exists(work, path):
            sentence = f"there is no file {work.shown(path)}"
            return work.report.wrong(item, ("include", f"[{number}]"), sentence).with_value({})
    directory = item.get("project_directory")
    inner = replace(
        work,
        files=paths,
        directory=directory.text if directory and directory.text else os.path.dirname(paths[0]),
        env_files=_texts(item.get("env_file")),
        within=(*work.within, *_absolute(work)),
        documents=(),
    )
    ambient = {key: value for key, value in work.environment.items() if key not in _FOR_THE_COMMAND}
    inner = replace(inner, environment=environment_of(replace(inner, environment=ambient)))
    for phase in PHASES:
        inner = phase(inner)
    return _settled(inner)


def _settled(work: Work) -> Node:
    """The tree, bare variables filled in from the included project's own environment, which ends here."""
    services = work.tree.get("services")
    if services is None or services.is_broken:
        return work.tree
    found = {name: _with_bare(work, service) for name, service in services.entries.items()}
    return work.tree.with_value({**work.tree.entries, "services": services.with_value({**found})})


def _with_bare(work: Work, service: Node) -> Node:
    environment = service.get("environment")
    if environment is None or service.is_broken:
        return service
    filled = {
        name: node if node.value is not None or node.is_broken else node.with_value(work.environment.get(name))
        for name, node in environment.entries.items()
    }
    return service.with_value({**service.entries, "environment": environment.with_value({**filled})})


def _exists(work: Work, path: str) -> bool:
    try:
        return work.data(path) is not None
    except OSError:
        return True  # reading it says what is wrong


def _absolute(work: Work) -> list[str]:
    return [os.path.normpath(os.path.join(work.current, name)) for name in work.files]


def _texts(node: Node | None) -> tuple[str, ...]:
    return tuple(item.text for item in (node.items if node else ()) if item.text)


def _join(work: Work, entries: dict[str, Node], imported: Node, item: Node) -> dict[str, Node]:
    """Both together. What is in both is merged as an earlier file is with a later one: what includes comes later."""
    joined = dict(entries)
    for kind in _KINDS:
        theirs, mine = imported.at(kind), entries[kind].entries if kind in entries else {}
        both = {name: merged_over(kind, theirs[name], mine[name]) for name in mine if name in theirs}
        if theirs:
            base = entries.get(kind) or imported.entries[kind]
            joined[kind] = base.with_value({**theirs, **mine, **both})
    return joined


_FOR_THE_COMMAND = ("COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE")
PHASES: Sequence[Phase] = (read_sources, interpolate, check, canonical, locate, include, extend, merge)
"""What an included project goes through; a part of compose.load.PHASES, in the same order."""
