"""The YAML reader: text to trees whose nodes have their place in the file.

Unquoted scalars are typed by the rules of YAML 1.2 and of Docker's parser: `yes` and `on` are strings, `22:22` is not a
number in base 60. Each document of a file counts as a file.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from compose.read.report import Report
from compose.read.tree import OVERRIDE, RESET, Mark, Scalar, TreeNode
from compose.read.yaml_problems import syntax_problem

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
"""Limits the size to which aliases can expand a small file."""
_DEEPEST = 60
"""Levels of nesting; the specification needs nine. Later phases may therefore use recursion."""
_BRACKETS = re.compile(r"[\[\]{}]")
_LONG_INDENTATION = re.compile(r"^(?:[ ]|[-?:](?=\s)){60}", re.MULTILINE)
_LONGEST_NUMBER = 100
"""Digits. A longer number is read as text: no attribute accepts it, and Python refuses to convert it."""

_PLAIN = "plain"
"""Tag of an unquoted scalar without an explicit tag."""
_TYPED = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Does not resolve the types of scalars; resolve_scalar does."""

    def resolve(self, kind: type, value: str, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _STRING
        return "tag:yaml.org,2002:map" if kind is yaml.MappingNode else "tag:yaml.org,2002:seq"

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        """Nothing depends on paths."""

    def ascend_resolver(self) -> None:
        """Nothing depends on paths."""


def parse_yaml(report: Report, file: str, text: str) -> list[TreeNode]:
    """The documents of a text. Problems go into the report. `file`: its name in messages."""
    start = TreeNode(None, Mark(file, 1, 1))
    try:
        if _may_be_deep(text) and _depth(text) > _DEEPEST:
            return [report.error(start, (), "it is nested too deep")]
        roots = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        # a parser with its own limit gives up before the depth can be counted
        if place and _may_be_deep(text[: place.index]):
            return [report.error(start, (), "it is nested too deep")]
        mark = Mark(file, place.line + 1, place.column + 1) if place else start.mark
        return [report.error(TreeNode(None, mark), (), f"this is not YAML: {syntax_problem(text, error)}")]
    except yaml.reader.ReaderError as error:
        mark = _mark_of(file, text, error.position)
        return [report.error(TreeNode(None, mark), (), "this is not YAML: a character that no text may hold")]
    except (yaml.YAMLError, RecursionError):
        return [report.error(start, (), "this is not YAML")]
    roots = [root for root in roots if not _is_empty(root)]
    if not roots:
        return [report.error(start, (), "the file is empty")]
    try:
        builder = _Builder(report, file)
        return [builder.build(root, ()) for root in roots]
    except (_TooBig, RecursionError):
        return [
            report.error(
                start,
                (),
                "it is nested too deep, or its aliases make it too big; is there an alias inside its own anchor?",
            )
        ]


def _mark_of(file: str, text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(file, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _may_be_deep(text: str) -> bool:
    """A quick check without false negatives: libyaml composes with unbounded recursion and would overflow the stack."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest > _DEEPEST or bool(_LONG_INDENTATION.search(text))


def _depth(text: str) -> int:
    """The exact depth of nesting. Raises yaml.YAMLError."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        if deepest > _DEEPEST:
            break
    return deepest


def _is_empty(root: yaml.Node | None) -> bool:
    return root is None or (
        isinstance(root, yaml.ScalarNode) and not root.style and root.value in _WORDS and _WORDS[root.value] is None
    )


class _TooBig(Exception):
    pass


class _Builder:
    """Converts PyYAML's nodes to TreeNodes."""

    def __init__(self, report: Report, file: str) -> None:
        self.report = report
        self.file = file
        self.count = 0

    def build(self, node: yaml.Node, path: tuple[str, ...]) -> TreeNode:
        self.count += 1
        if self.count > _MOST_NODES or len(path) > _DEEPEST:
            raise _TooBig
        mark = Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        tag = ""
        if node.tag and node.tag[0] == "!" and node.tag != "!":
            if node.tag not in (RESET, OVERRIDE):
                sentence = f"there is no tag {node.tag} here; known are {RESET} and {OVERRIDE}"
                return self.report.error(TreeNode(None, mark), path, sentence)
            tag = node.tag
        if isinstance(node, yaml.MappingNode):
            return TreeNode(self._mapping(node, path), mark, tag)
        if isinstance(node, yaml.SequenceNode):
            return TreeNode([self.build(item, (*path, f"[{i}]")) for i, item in enumerate(node.value)], mark, tag)
        assert isinstance(node, yaml.ScalarNode)
        is_typed = node.tag == _PLAIN or node.tag in _TYPED
        return TreeNode(resolve_scalar(node.value) if is_typed else node.value, mark, tag)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, TreeNode]:
        entries: dict[str, TreeNode] = {}
        merged: dict[str, TreeNode] = {}
        for key_node, value_node in node.value:
            mark = Mark(self.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.report.error(TreeNode(None, mark), path, "a key must be a string")
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                merged |= self._merge_key(value_node, path, mark) | merged
                continue
            if key in entries:
                self.report.error(TreeNode(None, mark), (*path, key), "is given twice")
                continue
            entries[key] = self.build(value_node, (*path, key))
        return merged | entries if merged else entries

    def _merge_key(self, node: yaml.Node, path: tuple[str, ...], mark: Mark) -> dict[str, TreeNode]:
        if isinstance(node, yaml.SequenceNode):
            merged: dict[str, TreeNode] = {}
            for item in node.value:
                merged = self._merge_key(item, path, mark) | merged
            return merged
        built = self.build(node, path)
        if not isinstance(built.value, dict):
            self.report.error(TreeNode(None, mark), (*path, "<<"), "must refer to a mapping, or to a list of mappings")
        return built.entries


def resolve_scalar(text: str) -> Scalar:
    """The typed value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if not text or len(text) > _LONGEST_NUMBER or text[0] not in "+-.0123456789":
        return text
    if _INT.match(text):
        return int(text)
    if match := _OCTAL.match(text):
        return int(match[1] + match[2], 8)
    if _HEX.match(text):
        return int(text, 16)
    if _FLOAT.match(text):
        return float(text)
    return text
