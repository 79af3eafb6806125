"""Phase 3: replace variables in every string except keys and extensions (x-…)."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from compose.model.load_state import LoadState
from compose.read.tree import Path, TreeNode, children, is_extension
from compose.read.variables import BadVariable, expand


def interpolate(state: LoadState) -> LoadState:
    """Replace the variables in the documents. An unset one becomes "" with a note.

    COMPOSE_PROJECT_NAME is the stack's name, also when the files define it.
    """
    state = replace(state, environment={**state.environment, "COMPOSE_PROJECT_NAME": _project_name(state)})
    return replace(state, documents=tuple(_node(state, document, ()) for document in state.documents))


def _project_name(state: LoadState) -> str:
    """The stack's name as given, or the last `name:`, or derived from the directory as Docker Compose does it."""
    if given := state.stack or state.environment.get("COMPOSE_PROJECT_NAME"):
        return given
    for document in reversed(state.documents):
        name = document.get("name")
        if name and isinstance(name.value, str):
            try:
                return expand(name.value, state.environment).text
            except BadVariable:
                return ""
    return default_name(state.directory)


def default_name(directory: str) -> str:
    """A stack's name derived from a directory's; "" when the directory's has no usable character."""
    return re.sub(r"[^a-z0-9_-]", "", os.path.basename(directory).lower()).strip("_-")


def _node(state: LoadState, node: TreeNode, path: Path) -> TreeNode:
    if isinstance(node.value, dict):
        return node.with_value(
            {
                key: child if not path and is_extension(key) else _node(state, child, (*path, key))
                for key, child in children(node)
            }
        )
    if isinstance(node.value, list):
        return node.with_value([_node(state, child, (*path, part)) for part, child in children(node)])
    if isinstance(node.value, str) and "$" in node.value:
        return _string(state, node, node.value, path)
    return node


def _string(state: LoadState, node: TreeNode, text: str, path: Path) -> TreeNode:
    try:
        expanded = expand(text, state.environment)
    except BadVariable as error:
        return state.report.error(node, path, str(error))
    for name in expanded.unset:
        state.report.note_unset_variable(node, path, name)
    return node.with_value(expanded.text)
