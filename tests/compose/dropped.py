"""Finds attributes that a load has dropped: they are in the file but not in the project, or there without effect.

It uses only the loader's results: the document as written, the canonical project and the stack. The exceptions are
listed below by attribute and value; there are no others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import yaml

from compose.load import LoadedProject
from compose.read.tree import TreeNode, children, is_extension
from compose.read.value_kinds import KINDS, KindMismatch
from compose.table.attributes import ATTRIBUTES
from compose.table.schema import SCHEMA, Schema
from compose.translate.compose_file import document

Place = tuple[str, ...]

SETTLED = (
    "attach", "develop", "env_file", "extends", "label_file", "profiles", "volumes_from",
)  # fmt: skip
"""Attributes of a service that an early phase resolves. Their meaning is in other attributes, or in a note."""
USUAL: dict[str, tuple[object, ...]] = {
    "services.*.ports.[].protocol": ("tcp",),
    "services.*.ports.[].mode": ("ingress",),
    "services.*.depends_on.*.required": (True,),
    "services.*.deploy.mode": ("replicated",),
}
"""Values that the canonical form leaves out, because they are defaults."""


SAID_TWICE = (
    (("cpus",), ("deploy", "resources", "limits", "cpus")),
    (("mem_limit",), ("deploy", "resources", "limits", "memory")),
    (("pids_limit",), ("deploy", "resources", "limits", "pids")),
    (("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
    (("scale",), ("deploy", "replicas")),
)
"""Two attributes for the same thing: when both are given (with the same value), one of them has no effect."""


def not_in_project(written: TreeNode, found: LoadedProject) -> list[str]:
    """Attributes of a document that the project lacks, although they have a meaning."""
    shown = {place for place, _ in _places(document(found.project), ())}
    return [".".join(place) for place in _given(written, SCHEMA, (), found) if place not in shown]


def _places(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """The path of every key in nested mappings, with [] for list items."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*place, key), below
            yield from _places(below, (*place, key))
    elif isinstance(value, list):
        for below in value:
            yield from _places(below, (*place, "[]"))


def _given(node: TreeNode, schema: Schema, place: Place, found: LoadedProject) -> Iterator[Place]:
    for part, child in children(node):
        below = schema.child(part)
        if below is None or (is_extension(part) and "*" not in schema.below) or below.rule.refusal:
            continue
        if _is_settled(child, below) or _has_no_meaning(child, below):
            continue
        here = (*place, "[]" if part.startswith("[") else part)
        if len(here) == 2 and here[0] == "services" and here[1] not in found.project.services:
            continue  # its profile is not active
        if not part.startswith("["):
            yield here
        yield from _given(child, below, here, found)


def _is_settled(node: TreeNode, schema: Schema) -> bool:
    parts = schema.pattern.split(".")
    if parts[0] == "services" and len(parts) > 2:
        return parts[2] in SETTLED
    return parts[-2:] == ["external", "name"] or schema.pattern in ("version", "name", "include")


def _has_no_meaning(node: TreeNode, schema: Schema) -> bool:
    """Whether it has no meaning: it is empty, zero, false, or a default."""
    if isinstance(node.value, dict):
        known = [(child, schema.child(part)) for part, child in node.value.items() if not is_extension(part)]
        return all(below is None or below.rule.refusal or _has_no_meaning(child, below) for child, below in known)
    if isinstance(node.value, list):
        if schema.pattern.endswith((".environment", ".args")):
            return all("=" not in item.text for item in node.items)  # taken from the environment, or left out
        return not node.value
    value: object = node.value
    for kind in schema.rule.kinds:
        try:
            value = KINDS[kind].read(node.value)
        except KindMismatch:
            continue
        break
    return not value or value in USUAL.get(schema.pattern, ()) or "$" in node.text


# ── from the project to the stack ────────────────────────────────────────────────────────────────────────────────

TRIES = 1
"""Number of attributes removed from each file."""
_ZEROS = (
    "cpus", "deploy.resources.limits.cpus", "deploy.resources.reservations.cpus", "deploy.update_config.delay",
    "deploy.rollback_config.delay",
)  # fmt: skip
_ALL = ("gpus.[].count", "deploy.resources.reservations.devices.[].count")
NO_EFFECT: dict[str, tuple[object, ...]] = {
    "services.*.ports.[].protocol": ("tcp",),
    "services.*.ports.[].mode": ("ingress",),
    "services.*.devices.[].permissions": ("rwm",),
    **{f"services.*.{kind}.[].{owner}": ("0",) for kind in ("secrets", "configs") for owner in ("uid", "gid")},
    **{f"services.*.{kind}.[].mode": ("0444",) for kind in ("secrets", "configs")},
    **{f"services.*.{key}": (0, "0s") for key in _ZEROS},
    **{f"services.*.{key}": (-1,) for key in _ALL},
    "services.*.deploy.update_config.parallelism": (1,),
    "services.*.deploy.rollback_config.parallelism": (1,),
    "services.*.volumes.[].bind.create_host_path": (False,),
    "services.*.volumes.[].bind.recursive": ("enabled",),
    "services.*.pids_limit": (-1,),
    "services.*.network_mode": ("bridge", "default"),
}
"""Values of the canonical form that mean the same as leaving the attribute out."""


def without_effect(found: LoadedProject, load: Callable[[str], LoadedProject | Exception], seed: str) -> str:
    """Of a few attributes of the project, chosen by the seed, one that has no effect; "" when all have one.

    An attribute with a note (no effect beside another one) does not count as dropped.
    """
    tree = document(found.project)
    candidates = [
        (steps, schema) for steps, schema in _leaves(tree, SCHEMA, ()) if not _has_no_part(steps, schema, tree)
    ]
    start = zlib.crc32(seed.encode(errors="surrogatepass")) % max(1, len(candidates))
    for steps, schema in (candidates[start:] + candidates[:start])[:TRIES]:
        changed = load(_written(_without(tree, steps)))
        if isinstance(changed, Exception) or changed.stack != found.stack:
            continue
        whole = load(_written(tree))
        if isinstance(whole, Exception) or len(whole.notes) == len(changed.notes):
            return f"{schema.pattern} = {_at(tree, steps)!r}"
    return ""


def _written(tree: dict[str, Any]) -> str:
    return str(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


def _leaves(value: Any, schema: Schema, steps: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Schema]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        place = schema.child(f"[{key}]" if isinstance(key, int) else key)
        if place is None:
            continue
        if isinstance(below, dict | list) and below:
            yield from _leaves(below, place, (*steps, key))
        elif not isinstance(key, int):
            yield (*steps, key), place


def _has_no_part(steps: tuple[Any, ...], schema: Schema, tree: dict[str, Any]) -> bool:
    value = _at(tree, steps)
    beside = _at(tree, steps[:-1])
    if value in NO_EFFECT.get(schema.pattern, ()) or value in (None, "", [], {}):
        return True
    if steps[-1] == "target" and value == beside.get("source"):
        return True
    if any(steps[2:] in pair and all(_there(tree, (*steps[:2], *keys)) for keys in pair) for pair in SAID_TWICE):
        return True
    parts = schema.pattern.split(".")
    above = [ATTRIBUTES[".".join(parts[:length])] for length in range(1, len(parts) + 1)]
    if any(rule.note or rule.how.startswith("taken note of") for rule in above):
        return True
    return schema.pattern.startswith("services.*.build") or steps[0] != "services"


def _at(tree: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        tree = tree[step]
    return tree


def _there(tree: Any, steps: tuple[Any, ...]) -> bool:
    for step in steps:
        if not isinstance(tree, dict) or step not in tree:
            return False
        tree = tree[step]
    return True


def _without(tree: Any, steps: tuple[Any, ...]) -> Any:
    copy = msgspec.json.decode(msgspec.json.encode(tree))
    del _at(copy, steps[:-1])[steps[-1]]
    return copy
