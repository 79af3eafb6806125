"""Phase 7: `include`, which adds other projects, each with its own directory and environment.

An included project first passes the phases up to `merge` by itself, so its tree is canonical and its paths are
absolute.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from compose.model.load_state import LoadState, Phase
from compose.phases.canonical import canonical
from compose.phases.check import check
from compose.phases.extend import extend
from compose.phases.interpolate import interpolate
from compose.phases.merge import merge, merged_over
from compose.phases.paths import absolute_paths
from compose.phases.sources import environment_of, read_sources
from compose.read.tree import TreeNode

_KINDS = ("services", "networks", "volumes", "secrets", "configs")


def include(state: LoadState) -> LoadState:
    """Add the included projects to the documents."""
    return replace(state, documents=tuple(_document(state, document) for document in state.documents))


def _document(state: LoadState, document: TreeNode) -> TreeNode:
    listed = document.get("include")
    if listed is None:
        return document
    entries = {key: node for key, node in document.entries.items() if key != "include"}
    for number, item in enumerate(listed.items):
        if not item.is_broken:
            imported = _load(state, item, number)
            entries = _join(state, entries, imported, item)
    return document.with_value(entries)


def _load(state: LoadState, item: TreeNode, number: int) -> TreeNode:
    """The tree of an included project."""
    paths = _texts(item.get("path"))
    trail = [*state.within, *_absolute(state)]
    circle = next(([*trail[trail.index(path) :], path] for path in paths if path in trail), [])
    if circle or not paths:
        way = " → ".join(state.shown(path) for path in circle)
        sentence = f"goes in a circle: {way}" if circle else "names no file"
        return state.report.error(item, ("include", f"[{number}]"), sentence).with_value({})
    for path in paths:
        if not _exists(state, path):
            sentence = f"there is no file {state.shown(path)}"
            return state.report.error(item, ("include", f"[{number}]"), sentence).with_value({})
    directory = item.get("project_directory")
    inner = replace(
        state,
        files=paths,
        directory=directory.text if directory and directory.text else os.path.dirname(paths[0]),
        env_files=_texts(item.get("env_file")),
        within=(*state.within, *_absolute(state)),
        documents=(),
    )
    ambient = {key: value for key, value in state.environment.items() if key not in _FOR_THE_COMMAND}
    inner = replace(inner, environment=environment_of(replace(inner, environment=ambient)))
    for phase in PHASES:
        inner = phase(inner)
    return _with_own_environment(inner)


def _with_own_environment(state: LoadState) -> TreeNode:
    """The tree with bare variables filled in from the included project's environment, which is not used any further."""
    services = state.tree.get("services")
    if services is None or services.is_broken:
        return state.tree
    found = {name: _with_bare(state, service) for name, service in services.entries.items()}
    return state.tree.with_value({**state.tree.entries, "services": services.with_value({**found})})


def _with_bare(state: LoadState, service: TreeNode) -> TreeNode:
    environment = service.get("environment")
    if environment is None or service.is_broken:
        return service
    filled = {
        name: node if node.value is not None or node.is_broken else node.with_value(state.environment.get(name))
        for name, node in environment.entries.items()
    }
    return service.with_value({**service.entries, "environment": environment.with_value({**filled})})


def _exists(state: LoadState, path: str) -> bool:
    try:
        return state.data(path) is not None
    except OSError:
        return True  # reading it reports the problem


def _absolute(state: LoadState) -> list[str]:
    return [os.path.normpath(os.path.join(state.current, name)) for name in state.files]


def _texts(node: TreeNode | None) -> tuple[str, ...]:
    return tuple(item.text for item in (node.items if node else ()) if item.text)


def _join(state: LoadState, entries: dict[str, TreeNode], imported: TreeNode, item: TreeNode) -> dict[str, TreeNode]:
    """The entries of both. An entry in both is merged, with the including file as the later one."""
    joined = dict(entries)
    for kind in _KINDS:
        theirs, mine = imported.at(kind), entries[kind].entries if kind in entries else {}
        both = {name: merged_over(kind, theirs[name], mine[name]) for name in mine if name in theirs}
        if theirs:
            base = entries.get(kind) or imported.entries[kind]
            joined[kind] = base.with_value({**theirs, **mine, **both})
    return joined


_FOR_THE_COMMAND = ("COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE")
PHASES: Sequence[Phase] = (read_sources, interpolate, check, canonical, absolute_paths, include, extend, merge)
"""The phases for an included project: a part of compose.load.PHASES, in the same order."""
