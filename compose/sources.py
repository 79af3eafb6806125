"""Phase 1: read the files. The only phase that meets the file system (others are handed `Work.read`).

YAML is read into nodes with their place. Scalars without quotes get their type by the rules of YAML 1.2 and of Docker's
own parser: `yes` and `on` are text, `22:22` is not a number in base 60.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import Any

import yaml

from compose.dotenv import BadLine, parse
from compose.tree import OVERRIDE, RESET, Mark, Node, Scalar
from compose.work import Work

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_OCTAL = re.compile(r"([-+]?)0o?([0-7]+)$")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_NAMED: tuple[tuple[str, Scalar], ...] = (("null", None), ("true", True), ("false", False))
_WORDS: dict[str, Scalar] = {"": None, "~": None} | {
    form: value for word, value in _NAMED for form in (word, word.capitalize(), word.upper())
}
_STRING = "tag:yaml.org,2002:str"
_MOST_NODES = 200_000
"""Bounds what aliases can blow a small file up to."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_sources(work: Work) -> Work:
    """Files to trees; `.env` beside the first file is added to the environment, which wins over it."""
    documents: list[Node] = []
    for name in work.files:
        start = Node(None, Mark(shown_name(name), 1, 1))
        text = _read(work, start, name)
        if text is not None:
            documents.append(_parse(work, start, text))
    return replace(work, documents=tuple(documents), environment=_with_dotenv(work))


def read_file(path: str) -> str | None:
    """The FileReader of the real file system; "-" is standard input."""
    if path == "-":
        return sys.stdin.read()
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def shown_name(name: str) -> str:
    """How a file is called in messages."""
    return "stdin" if name == "-" else name


def _read(work: Work, start: Node, name: str) -> str | None:
    try:
        text = work.read(name if name == "-" else os.path.abspath(name))
    except UnicodeDecodeError:
        work.report.wrong(start, (), "is not UTF-8 text")
        return None
    except OSError as error:
        work.report.wrong(start, (), f"cannot be read: {error.strerror or error}")
        return None
    if text is None:
        work.report.wrong(start, (), "there is no such file")
    return text


def _with_dotenv(work: Work) -> dict[str, str]:
    path = os.path.join(work.directory, ".env")
    environment = dict(work.environment)
    try:
        text = work.read(path) or ""
        found = parse(text, environment)
    except (OSError, UnicodeDecodeError, BadLine) as error:
        work.report.wrong(Node(None, Mark(path, 1, 1)), (), str(error))
        return environment
    return {name: value for name, value in found.items() if value is not None} | environment


def _parse(work: Work, start: Node, text: str) -> Node:
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(start.mark.file, place.line + 1, place.column + 1) if place else start.mark
        context = f"{error.context}: " if error.context else ""
        return work.report.wrong(Node(None, mark), (), f"this is not YAML: {context}{error.problem or error}")
    except (yaml.YAMLError, RecursionError) as error:
        return work.report.wrong(start, (), f"this is not YAML: {str(error).splitlines()[0]}")
    if root is None:
        return work.report.wrong(start, (), "the file is empty")
    try:
        return _Builder(work, start.mark.file).build(root, ())
    except (_TooBig, RecursionError):
        return work.report.wrong(start, (), "its aliases make it too big; is there an alias inside its own anchor?")


class _TooBig(Exception):
    pass


class _Builder:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, work: Work, file: str) -> None:
        self.report = work.report
        self.file = file
        self.count = 0

    def build(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        self.count += 1
        if self.count > _MOST_NODES:
            raise _TooBig
        mark = Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        tag = node.tag if node.tag in (RESET, OVERRIDE) else ""
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, path), mark, tag)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.build(item, (*path, f"[{i}]")) for i, item in enumerate(node.value)], mark, tag)
        assert isinstance(node, yaml.ScalarNode)
        is_plain = not node.style and not _is_marked_text(node)
        value = resolve_scalar(node.value) if is_plain and not tag else node.value
        return Node(value, mark, tag, plain=is_plain)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            mark = Mark(self.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.report.wrong(Node(None, mark), path, "a key must be a string")
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                merged |= self._merge_key(value_node, path) | merged
                continue
            if key in entries:
                self.report.wrong(Node(None, mark), (*path, key), "is given twice")
                continue
            entries[key] = self.build(value_node, (*path, key))
        return merged | entries if merged else entries

    def _merge_key(self, node: yaml.Node, path: tuple[str, ...]) -> dict[str, Node]:
        if isinstance(node, yaml.SequenceNode):
            merged: dict[str, Node] = {}
            for item in node.value:
                merged = self._merge_key(item, path) | merged
            return merged
        built = self.build(node, path)
        if not isinstance(built.value, dict):
            self.report.wrong(built, (*path, "<<"), "must refer to a mapping, or to a list of mappings")
        return built.entries


def _is_marked_text(node: yaml.ScalarNode) -> bool:
    """Whether the user said !!str: PyYAML's own rules would have made a number or a word of it."""
    return bool(node.tag == _STRING and (node.value in _WORDS or _INT.match(node.value)))


def resolve_scalar(text: str) -> Scalar:
    """The value of a scalar written without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if match := _OCTAL.match(text):
        return int(match[1] + match[2], 8)
    if _HEX.match(text):
        return int(text, 16)
    if _FLOAT.match(text):
        return float(text)
    return text
