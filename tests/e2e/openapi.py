"""Answers of the Engine API held against its OpenAPI description, where that is at hand.

The description is its authors' and not kept here: it is read from shared/data/engine-api.yaml beside the checkout, or
from where ENGINE_API says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

DESCRIPTION = Path(__file__).parents[3] / "shared" / "data" / "engine-api.yaml"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@cache
def description() -> Any:
    """The whole document; the test is skipped where there is none."""
    path = Path(os.environ.get("ENGINE_API") or DESCRIPTION)
    if not path.exists():
        pytest.skip(f"the Engine API's description is not at {path}: set ENGINE_API to its engine-api.yaml")
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def faults(path: str, answer: Any) -> list[str]:
    """What in the answer to GET `path` (as the description spells it) is not as described."""
    response = description()["paths"][path]["get"]["responses"][200]
    return list(_faults(response["schema"], answer, path))


def _faults(schema: Any, value: Any, place: str) -> Iterator[str]:
    schema = _whole(schema)
    if value is None:  # Go's empty pointers, lists and maps; the description marks but some of them
        return
    kind = schema.get("type", "object" if "properties" in schema else "")
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{place}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if isinstance(value, list):
        for item in value:
            yield from _faults(schema.get("items", {}), item, f"{place}[]")
    if isinstance(value, dict) and "properties" in schema:
        yield from _faults_of_fields(schema, value, place)


def _faults_of_fields(schema: Any, value: dict[str, Any], place: str) -> Iterator[str]:
    known, others = schema["properties"], schema.get("additionalProperties")
    for name, field in value.items():
        if name in known:
            yield from _faults(known[name], field, f"{place}.{name}")
        elif isinstance(others, dict):
            yield from _faults(others, field, f"{place}.{name}")
        else:
            yield f"{place}.{name} is not described"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}.{name} is missing"


def _whole(schema: Any) -> Any:
    """With references followed and `allOf` put together."""
    while "$ref" in schema:
        schema = description()["definitions"][schema["$ref"].rpartition("/")[2]]
    if "allOf" not in schema:
        return schema
    parts = [*(_whole(part) for part in schema["allOf"]), {k: v for k, v in schema.items() if k != "allOf"}]
    merged = {key: value for part in parts for key, value in part.items()}
    merged["properties"] = {name: field for part in parts for name, field in part.get("properties", {}).items()}
    return merged
