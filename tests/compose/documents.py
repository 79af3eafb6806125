"""Compose files for the fuzz test: generated from the attribute table, or mutated golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from compose.read.report import Report
from compose.read.tree import TreeNode, children, plain
from compose.read.yaml_reader import parse_yaml
from compose.table.schema import SCHEMA, Schema

GOLDEN = Path(__file__).parents[1] / "golden"
PATHS = [path for path in sorted(GOLDEN.rglob("*.y*ml")) if path.stat().st_size < 4000]
GOOD = [path.read_text(errors="replace") for path in PATHS if not path.relative_to(GOLDEN).parts[1].startswith("bad-")]
BAD = [path.read_text(errors="replace") for path in PATHS if path.relative_to(GOLDEN).parts[1].startswith("bad-")]
NAMES = ("web", "db", "net", "data", "key", "conf")
"""Few names, so that references often match definitions."""
TRICKY = (
    '', ' ', '0', '-1', '1e999', '.nan', '~', 'null', 'yes', '!reset', '${', '${A:-$B}', '$$', '${TAG}',
    'a:b:c:d', '::', '[::1]:80:80', '1-', '99999999999999999999', '0x', '\x00', '\ud7ff', '\U0001f600', '*a',
    '&a', '- ', '/', '../..', 'a' * 60 + '.', '~/x', '=', 'a=', '5s', '1.5h', '64m', '80:80', '127.0.0.1:80:80',
    '8000-8002:80-82', 'service:web', 'host', 'on-failure:3', 'linux/amd64', '0444', 'vendor.com/x=y',
    'node.role == manager', 'no-new-privileges', 'd:/data:ro,z', 'k: v', '{', ']', '#', "'", '"', '\t', "x" *
    300,
)  # fmt: skip

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "string": st.sampled_from(NAMES) | st.sampled_from(TRICKY) | st.text(max_size=12),
    "integer": st.integers(-2, 100) | st.integers() | st.sampled_from(["1", "0x10", "010", "${REPLICAS}"]),
    "number": st.floats() | st.integers(-1, 5) | st.sampled_from(["0.5", "1e3", "nan", "inf"]),
    "boolean": st.booleans() | st.sampled_from(["true", "no", "${YES:-true}"]),
    "scalar": st.sampled_from(NAMES) | st.sampled_from(TRICKY) | st.integers(-1, 70000) | st.booleans() | st.floats(),
    "duration": st.sampled_from(["5s", "1m30s", "1.5h", "0", "10ms", "-1s", 5, "99999999999999h"]),
    "microseconds": st.sampled_from(["50ms", 5000, "5000", -1]),
    "size": st.sampled_from(["64m", "1g", 4096, "-1", "1.5GB", "1e3", "9" * 400]),
    "mode": st.sampled_from([0o440, "0440", "440", "9", 1e9]),
}
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(TRICKY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def _seen() -> dict[str, list[Any]]:
    """Values in the golden files by attribute; values from refused files only when no other file has one."""
    return _values_in(BAD) | _values_in(GOOD)


def _values_in(texts: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for text in texts:
        for document in parse_yaml(Report(), "", text):
            _collect(document, SCHEMA, found)
    return found


def _collect(node: TreeNode, schema: Schema, found: dict[str, list[Any]]) -> None:
    if not node.is_broken and not node.tag:
        found.setdefault(schema.pattern, []).append(plain(node))
    for part, child in children(node):
        if below := schema.child(part):
            _collect(child, below, found)


SEEN = _seen()


def _later(schema: Schema) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: _value(schema))


def _value(schema: Schema) -> st.SearchStrategy[Any]:
    """Values for a place: mostly of its kinds, or of its allowed strings when it has some."""
    kinds: list[st.SearchStrategy[Any]] = []
    if schema.rule.one_of:
        kinds.append(st.sampled_from(schema.rule.one_of))
    for kind in schema.rule.kinds or ("null", "string"):
        if kind == "map":
            kinds.append(st.deferred(lambda: _mapping(schema)))
        elif kind == "list":
            below = schema.child("[0]")
            kinds.append(st.lists(_value(below) if below else _SCALARS["string"], max_size=3))
        else:
            kinds.append(_SCALARS[kind])
    made = st.one_of(kinds)
    seen = st.sampled_from(SEEN[schema.pattern]) if SEEN.get(schema.pattern) else made
    return st.integers(0, 40).flatmap(lambda luck: _ANYTHING if luck == 40 else made if luck > 33 else seen)


def _mapping(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """A few of the known keys, mostly the required ones, and the usual names where any name is allowed."""
    known = {name: _later(below) for name, below in schema.below.items() if name not in ("*", "[]")}
    required = {name: known[name] for name in schema.rule.required}
    some = st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True) if known else st.just([])
    chosen = some.flatmap(lambda names: st.fixed_dictionaries({**required, **{name: known[name] for name in names}}))
    if "*" not in schema.below:
        return chosen
    named = st.dictionaries(st.sampled_from(NAMES), _value(schema.below["*"]), max_size=3)
    return st.tuples(chosen, named).map(lambda both: both[0] | both[1])


_SERVICE = st.tuples(_mapping(SCHEMA.below["services"].below["*"]), st.integers(0, 20)).map(
    lambda both: {**({} if both[1] == 20 else {"image": "demo"}), **both[0]}
)


def documents() -> st.SearchStrategy[str]:
    """Files with services that have random attributes, as JSON, which is also YAML."""
    rest = {
        name: _value(SCHEMA.below[name]) for name in ("networks", "volumes", "secrets", "configs", "name", "include")
    }
    services = st.dictionaries(st.sampled_from(NAMES), _SERVICE, min_size=1, max_size=2)
    trees = st.fixed_dictionaries({"services": services}, optional=rest)
    both = st.tuples(trees, st.integers(0, 4))
    return both.map(lambda pair: json.dumps(_defined(pair[0]) if pair[1] else pair[0], indent=1))


_USUAL: dict[str, Any] = {"networks": None, "volumes": None, "secrets": {"file": "f"}, "configs": {"file": "f"}}


def _defined(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with definitions of what its services refer to, so that fewer files are refused for missing ones."""
    defined = dict(tree)
    for kind, usual in _USUAL.items():
        items = [item for service in tree["services"].values() for item in service.get(kind) or ()]
        names = [item.get("source") if isinstance(item, dict) else item for item in items]
        known = defined.get(kind) or {}
        wanted = {name.partition(":")[0]: usual for name in names if isinstance(name, str) and name[:1].isalpha()}
        if wanted and isinstance(known, dict):
            defined[kind] = wanted | known
    return defined


_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "cut", "twice", "swap", "swap", "value", "value", "replace", "insert", "indent"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(TRICKY) | st.text(max_size=6),
    ),
    min_size=1,
    max_size=3,
)


def mutated() -> st.SearchStrategy[str]:
    """Golden files with some lines removed, doubled, swapped or indented, and some values and characters changed."""
    texts = st.integers(0, 4).flatmap(lambda luck: st.sampled_from(BAD if luck == 4 else GOOD))
    return st.tuples(texts, _EDITS).map(lambda pair: _mutate(*pair))


def _mutate(text: str, edits: list[tuple[str, float, float, str]]) -> str:
    for edit, where, whither, material in edits:
        lines = text.split("\n")
        one, other = int(where * len(lines)), int(whither * len(lines))
        if edit == "cut":
            del lines[one]
        elif edit == "twice":
            lines.insert(other, lines[one])
        elif edit == "swap":
            lines[one], lines[other] = lines[other], lines[one]
        elif edit == "indent":
            lines[one] = "  " + lines[one] if other % 2 else lines[one].removeprefix("  ")
        elif edit == "value":
            key, colon, _ = lines[one].partition(":")
            lines[one] = f"{key}{colon} {material}" if colon else material
        text = "\n".join(lines)
        at = int(where * (len(text) + 1))
        if edit == "replace":
            text = text[:at] + material + text[at + 1 + int(whither * 4) :]
        elif edit == "insert":
            text = text[:at] + material + text[at:]
    return text
