"""The attribute table and the list of attributes agree with the specification's JSON schema.

The schema is not part of this repository, only the list made from it (tests/data/compose-attributes.txt). The list and
the kinds of values are compared with the schema itself if it is available: at shared/data/compose-spec.json beside the
checkout, or at the path in COMPOSE_SCHEMA. COMPOSE_SCHEMA_WRITE=1 writes the list from a newer schema;
test_attributes.py then names the attributes that the table lacks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.read.value_kinds import KINDS, KindMismatch
from compose.table.attributes import ATTRIBUTES

LIST = Path(__file__).parents[2] / "data" / "compose-attributes.txt"
SCHEMA = Path(__file__).parents[4] / "shared" / "data" / "compose-spec.json"
SAMPLES: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "string": ("a", "1", "1m", "true", "all", "0444"),
    "number": (1, 0.5),
    "integer": (1,),
    "boolean": (True,),
    "array": ([],),
    "object": ({},),
}
"""Sample values by type of the schema; an attribute that accepts the type accepts at least one of them."""


@pytest.fixture(scope="module")
def schema() -> Any:
    path = Path(os.environ.get("COMPOSE_SCHEMA") or SCHEMA)
    if not path.exists():
        pytest.skip(f"the specification's schema is not at {path}: set COMPOSE_SCHEMA to its compose-spec.json")
    return json.loads(path.read_text())


def places(root: Any, node: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The path of every attribute with every type it accepts; "" when it accepts any."""
    node = _resolved(root, root if node is None else node)
    types = node.get("type", "")
    if path:
        yield from ((".".join(path), one) for one in ([types] if isinstance(types, str) else types))
    for form in ("oneOf", "anyOf", "allOf"):
        for other in node.get(form, ()):
            yield from places(root, other, path)
    below = [*node.get("properties", {}).items()]
    below += [("*", value) for key, value in node.get("patternProperties", {}).items() if key != "^x-"]
    below += [("*", node.get("additionalProperties")), ("[]", node.get("items"))]
    for key, value in below:
        if isinstance(value, dict):
            yield from places(root, value, (*path, key))


def _resolved(root: Any, node: Any) -> Any:
    while "$ref" in node:
        found = root
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def test_the_list_has_every_attribute_of_the_schema(schema: Any) -> None:
    found = sorted({path for path, _ in places(schema)})
    if os.environ.get("COMPOSE_SCHEMA_WRITE"):
        LIST.write_text("\n".join(found) + "\n")
    assert found == sorted(LIST.read_text().split())


def test_every_type_of_the_schema_is_accepted_or_the_attribute_refused(schema: Any) -> None:
    assert [
        (path, kind)
        for path, kind in sorted(set(places(schema)))
        if kind and not ATTRIBUTES[path].refusal and not any(_takes(path, value) for value in SAMPLES[kind])
    ] == []


def _takes(path: str, value: Any) -> bool:
    for kind in ATTRIBUTES[path].kinds:
        try:
            KINDS[kind].read(value)
        except KindMismatch:
            continue
        return True
    return False


def test_every_kind_of_place_in_a_schema_is_found() -> None:
    schema = {
        "definitions": {"list": {"type": "array", "items": {"type": "string"}}},
        "properties": {
            "a": {"$ref": "#/definitions/list"},
            "b": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"c": {"type": ["number", "null"]}}}]},
            "d": {"patternProperties": {"^[a-z]+$": {"type": "string"}, "^x-": {}}},
            "e": {"additionalProperties": {"type": "boolean"}},
        },
        "patternProperties": {"^x-": {}},
    }
    assert set(places(schema)) == {
        ("a", "array"), ("a.[]", "string"), ("b", ""), ("b", "string"), ("b", "object"), ("b.c", "number"),
        ("b.c", "null"), ("d", ""), ("d.*", "string"), ("e", ""), ("e.*", "boolean"),
    }  # fmt: skip


@pytest.mark.parametrize("path", ["services.*.image", "services.*.deploy.resources.limits.pids", "networks.*.internal"])
def test_an_attribute_missing_from_the_table_is_found(path: str) -> None:
    lacking = ATTRIBUTES.keys() - {path}
    assert set(LIST.read_text().split()) - lacking == {path}
