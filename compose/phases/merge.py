"""Phase 9: merge several files into one tree; a later file wins.

Mappings are merged key by key, lists are joined, everything else is replaced; RULES has the exceptions.
`!override` replaces the earlier value, `!reset` removes it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import replace

from compose.model.load_state import EMPTY, LoadState
from compose.read.tree import OVERRIDE, RESET, TreeNode, plain, text_of
from compose.table.schema import SCHEMA, Schema

MergeRule = Callable[[TreeNode, TreeNode], TreeNode]


def merge(state: LoadState) -> LoadState:
    """Merge all documents into one tree."""
    tree = EMPTY if not state.documents else TreeNode({}, state.documents[0].mark)
    for document in state.documents:
        if document.is_broken:
            continue
        tree = _merge(tree, document, SCHEMA)
    return replace(state, tree=tree)


def merged_service(base: TreeNode, own: TreeNode) -> TreeNode:
    """A service merged over the one it extends."""
    schema = SCHEMA.below["services"].below["*"]
    if not isinstance(own.value, dict) or base.is_broken:
        return own
    return own.with_value(_merge(_without_tags(base, schema), own, schema).value)


def merged_over(kind: str, base: TreeNode, own: TreeNode) -> TreeNode:
    """A service, network, … of an included project, with the including file merged over it."""
    if own.is_broken or base.is_broken:
        return own
    return _merge(base, own, SCHEMA.below[kind].below["*"])


def _merge(old: TreeNode, new: TreeNode, schema: Schema | None) -> TreeNode:
    if new.tag == OVERRIDE:
        return new.without_tag()
    rule = RULES.get(schema.pattern) if schema else None
    if rule:
        return rule(old, new)
    if isinstance(old.value, dict) and isinstance(new.value, dict):
        return old.with_value(_merge_entries(old.value, new.value, schema))
    if isinstance(old.value, list) and isinstance(new.value, list):
        return _join(lambda item: repr(plain(item)))(old, new)
    return new


def _merge_entries(old: dict[str, TreeNode], new: dict[str, TreeNode], schema: Schema | None) -> dict[str, TreeNode]:
    merged = dict(old)
    for key, node in new.items():
        below = schema.child(key) if schema else None
        if node.tag == RESET:
            merged.pop(key, None)
        elif key in merged and not merged[key].is_broken:
            merged[key] = _merge(merged[key], node, below)
        else:
            merged[key] = _without_tags(node, below)
    return merged


def _without_tags(node: TreeNode, schema: Schema | None) -> TreeNode:
    """A subtree without an earlier value, so that its tags have nothing to act on."""
    node = node.without_tag() if node.tag == OVERRIDE else node
    if isinstance(node.value, dict):
        return node.with_value(_merge_entries({}, node.value, schema))
    return node


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _replace(old: TreeNode, new: TreeNode) -> TreeNode:
    return new


def _join(identity: Callable[[TreeNode], str]) -> MergeRule:
    """A rule that joins lists. Of two items with the same identity the later replaces the earlier, at its place."""

    def rule(old: TreeNode, new: TreeNode) -> TreeNode:
        items = {identity(item): item for item in [*old.items, *new.items]}
        return old.with_value([*items.values()])

    return rule


def _port(item: TreeNode) -> str:
    parts = (item.get("host_ip"), item.get("published"), item.get("target"), item.get("protocol"))
    return "|".join(part.text if part else "" for part in parts)


def _target(item: TreeNode) -> str:
    target = item.get("target")
    return target.text.rstrip("/") if target else repr(plain(item))


def place_of(kind: str, item: TreeNode) -> str:
    """The absolute path in the container of one use of "secrets" or "configs"."""
    name = text_of(item, "target") or text_of(item, "source")
    return posixpath.normpath(posixpath.join("/run/secrets" if kind == "secrets" else "/", name))


def _file(kind: str) -> Callable[[TreeNode], str]:
    return lambda item: place_of(kind, item)


def _merged_by(key: str) -> MergeRule:
    """A rule that joins lists of mappings. Of two items with the same key the later is merged over the earlier."""

    def rule(old: TreeNode, new: TreeNode) -> TreeNode:
        items: dict[str, TreeNode] = {}
        for item in [*old.items, *new.items]:
            name = text_of(item, key) or repr(plain(item))
            items[name] = _merge(items[name], item, None) if name in items else item
        return old.with_value([*items.values()])

    return rule


def _by(*keys: str) -> Callable[[TreeNode], str]:
    """An identity function: the value of the first of these keys that an item has."""

    def identity(item: TreeNode) -> str:
        found = [node for key in keys if (node := item.get(key))]
        return found[0].text if found else repr(plain(item))

    return identity


def _tmpfs(item: TreeNode) -> str:
    return item.text.partition(":")[0]


def _logging(old: TreeNode, new: TreeNode) -> TreeNode:
    """Options belong to a driver, so another driver does not keep them."""
    before, after = old.get("driver"), new.get("driver")
    if before and after and before.value != after.value:
        return new
    options = old.at("options") | new.at("options")
    merged = old.entries | new.entries
    return new.with_value(merged | ({"options": new.with_value({**options})} if options else {}))


RULES: dict[str, MergeRule] = {
    "services.*.command": _replace,
    "services.*.entrypoint": _replace,
    "services.*.healthcheck.test": _replace,
    "services.*.logging": _logging,
    "services.*.ports": _join(_port),
    "services.*.volumes": _join(_target),
    "services.*.tmpfs": _join(_tmpfs),
    "services.*.env_file": _join(_by("path")),
    "services.*.devices": _join(_by("target", "source")),
    "services.*.secrets": _join(_file("secrets")),
    "services.*.configs": _join(_file("configs")),
    "services.*.build.secrets": _join(_by("target", "source")),
    "services.*.post_start.[].command": _replace,
    "services.*.pre_start.[].command": _replace,
    "services.*.pre_stop.[].command": _replace,
    "networks.*.ipam.config": _merged_by("subnet"),
}
