"""Phase 4: check every document against the attribute table.

Unknown keys, refused attributes, wrong kinds and values that are not allowed are all reported and marked as broken, so
that later phases can continue and find further problems.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Container
from dataclasses import replace

from compose.model.load_state import LoadState
from compose.read.report import Report
from compose.read.tree import OVERRIDE, RESET, Path, TreeNode, children, is_argosy_extension, is_extension
from compose.read.value_kinds import KINDS, KindMismatch
from compose.table.rule import AttributeRule
from compose.table.schema import SCHEMA, Schema

MERGED = (("depends_on",), ("ulimits",), ("build", "ulimits"))
"""Mappings of a service to which several files may contribute. Missing keys are reported after merging."""
_LATER = frozenset(f"services.*.{'.'.join(keys)}.*" for keys in MERGED)


def check(state: LoadState) -> LoadState:
    """Remove the user's extensions from the documents and mark invalid values as broken."""
    return replace(state, documents=tuple(_node(state.report, document, SCHEMA, ()) for document in state.documents))


def _node(report: Report, node: TreeNode, schema: Schema, path: Path) -> TreeNode:
    if node.is_broken or node.tag == RESET:
        return node
    if sentence := _refusal(schema.rule, node, path):
        return report.error(node, path, sentence)
    if sentence := _complaint(schema.rule, node):
        return report.error(node, path, sentence)
    if schema.rule.note:
        report.note(node, path, schema.rule.note)
    return _below(report, node, schema, path)


def _below(report: Report, node: TreeNode, schema: Schema, path: Path) -> TreeNode:
    if isinstance(node.value, list):
        item = schema.child("[0]")
        if item is None:
            return node
        checked = [_item(report, child, item, (*path, part)) for part, child in children(node)]
        return node if all(map(operator.is_, checked, node.value)) else node.with_value([*checked])
    if not isinstance(node.value, dict):
        return node
    entries: dict[str, TreeNode] = {}
    for key, child in node.value.items():
        if is_extension(key) and "*" not in schema.below and not is_argosy_extension(key):
            continue
        below = schema.child(key)
        if below and (_is_harmless(below.rule, child) or _is_unset(report, below.rule, child, (*path, key))):
            continue
        entries[key] = (
            _node(report, child, below, (*path, key))
            if below
            else report.error(child, (*path, key), _unknown(key, schema))
        )
    if node.tag != OVERRIDE and schema.pattern not in _LATER and (sentence := lacking(schema.rule, entries)):
        return report.error(node, path, sentence)
    return node.with_value(entries)


def lacking(rule: AttributeRule, entries: Container[str]) -> str:
    """A clause that names the required keys a mapping lacks; "" when it lacks none."""
    missing = [name for name in rule.required if name not in entries]
    return f"lacks {' and '.join(missing)}" if missing else ""


def _item(report: Report, node: TreeNode, schema: Schema, path: Path) -> TreeNode:
    if node.tag == RESET:
        return report.error(node, path, "an item cannot be reset; say !override at the list, with what is to be left")
    return _node(report, node, schema, path)


def _is_harmless(rule: AttributeRule, node: TreeNode) -> bool:
    """Whether a refused attribute can be dropped: it is empty, or asks for what happens anyway."""
    if not rule.refusal or node.tag:
        return False
    if node.value in rule.harmless or node.value in (None, [], {}):
        return True
    return bool(rule.harmless) and isinstance(node.value, str) and _as_boolean(node.value) in rule.harmless


def _is_unset(report: Report, rule: AttributeRule, node: TreeNode, path: Path) -> bool:
    """Whether an attribute with fixed choices is empty because of an unset variable: it is then treated as absent."""
    return node.value == "" and bool(rule.one_of) and report.stems_from_unset(node, path)


def _refusal(rule: AttributeRule, node: TreeNode, path: Path) -> str:
    return f"{path[-1]} is refused: {rule.refusal}" if rule.refusal else ""


def _as_boolean(text: str) -> object:
    try:
        return KINDS["boolean"].read(text)
    except KindMismatch:
        return text


def _complaint(rule: AttributeRule, node: TreeNode) -> str:
    for name in rule.kinds:
        try:
            value = KINDS[name].read(node.value)
        except KindMismatch:
            continue
        if rule.one_of and value not in rule.one_of:
            return f"must be {_choice([word for word in rule.one_of if word])}, not {node.text!r}"
        return ""
    if not rule.kinds:
        return ""
    phrase = _choice([KINDS[name].phrase for name in rule.kinds if name != "null"])
    hint = f'; write "{node.text}"' if "string" in rule.kinds and isinstance(node.value, int | float) else ""
    return f"must be {phrase}, not {_describe(node)}{hint}"


def _describe(node: TreeNode) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if isinstance(node.value, str):
        return repr(node.value)
    return "empty" if node.value is None else node.text


def _choice(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _unknown(key: str, schema: Schema) -> str:
    near = difflib.get_close_matches(key, schema.names, n=1)
    if near:
        return f"there is no attribute {key!r} here; did you mean {near[0]!r}?"
    return f"there is no attribute {key!r} here"
