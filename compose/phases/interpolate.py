"""Phase 3: put the values of variables into every string, keys and extensions (x-…) excepted."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from compose.model.load_state import Work
from compose.read.tree import Node, Path, children, is_extension
from compose.read.variables import BadVariable, expand


def interpolate(work: Work) -> Work:
    """The documents with their variables replaced; one that is not set becomes "", and a note says so.

    COMPOSE_PROJECT_NAME is the stack's name, also where it comes from the files.
    """
    work = replace(work, environment={**work.environment, "COMPOSE_PROJECT_NAME": _project_name(work)})
    return replace(work, documents=tuple(_node(work, document, ()) for document in work.documents))


def _project_name(work: Work) -> str:
    """As given, or the last `name:`, or that of the directory, as Docker Compose makes one of it."""
    if given := work.stack or work.environment.get("COMPOSE_PROJECT_NAME"):
        return given
    for document in reversed(work.documents):
        name = document.get("name")
        if name and isinstance(name.value, str):
            try:
                return expand(name.value, work.environment).text
            except BadVariable:
                return ""
    return default_name(work.directory)


def default_name(directory: str) -> str:
    """A stack's name from that of a directory; "" when there is nothing in it to make one of."""
    return re.sub(r"[^a-z0-9_-]", "", os.path.basename(directory).lower()).strip("_-")


def _node(work: Work, node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        return node.with_value(
            {
                key: child if not path and is_extension(key) else _node(work, child, (*path, key))
                for key, child in children(node)
            }
        )
    if isinstance(node.value, list):
        return node.with_value([_node(work, child, (*path, part)) for part, child in children(node)])
    if isinstance(node.value, str) and "$" in node.value:
        return _string(work, node, node.value, path)
    return node


def _string(work: Work, node: Node, text: str, path: Path) -> Node:
    try:
        expanded = expand(text, work.environment)
    except BadVariable as error:
        return work.report.wrong(node, path, str(error))
    for name in expanded.unset:
        work.report.lacks_variable(node, path, name)
    return node.with_value(expanded.text)
