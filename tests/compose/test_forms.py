"""Everything that the specification's schema allows is honoured or refused by name, in every form.

Tried for every attribute of the schema and every type it accepts: null, "", [], {}, numbers and booleans also as text,
each choice of an enumeration, and the values in the golden files. A file with such a value either loads, and then the
project has the value (or a note says that it has no effect), or it is refused with the attribute's path. There is no
other outcome, and the value is never dropped.

The schema is not part of this repository. Without it (see test_schema.py) the forms come from the attribute table.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.errors import Invalid
from compose.load import LoadedProject, load
from compose.read.report import Report
from compose.read.yaml_reader import parse_yaml
from compose.table.attributes import ATTRIBUTES
from compose.table.rule import AttributeRule
from tests.compose.documents import GOOD, _values_in
from tests.compose.dropped import not_in_project
from tests.compose.table.test_schema import SAMPLES, SCHEMA, places

NAMES = {"services": "web", "networks": "net", "volumes": "data", "secrets": "key", "configs": "conf"}
TEXTS: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "string": ("", "a", "1", "true", "10m"),
    "number": (0, 1, 0.5, "1", "0.5"),
    "integer": (0, 1, "1", "0"),
    "boolean": (True, False, "true", "false"),
    "array": ([], [None], [""], ["a"], [1], [{}]),
    "object": ({}, {"a": None}, {"a": ""}, {"a": "b"}, {"a": 1}, {"a": True}),
}
OF_KINDS = {
    "map": "object",
    "list": "array",
    "scalar": "string",
    "size": "string",
    "duration": "string",
    "mode": "string",
}
MOST_SEEN = 4


@pytest.fixture(scope="module")
def seen() -> dict[str, list[Any]]:
    """Values in the golden files by attribute."""
    return _values_in(GOOD)


def types() -> dict[str, set[str]]:
    """The types that the schema allows, by attribute."""
    found: dict[str, set[str]] = {path: set() for path in ATTRIBUTES}
    if SCHEMA.exists():
        for path, kind in places(json.loads(SCHEMA.read_text())):
            found[path].add(kind)
    for path, rule in ATTRIBUTES.items():
        found[path] |= _of_table(rule)
    return {path: kinds & TEXTS.keys() for path, kinds in found.items()}


def _of_table(rule: AttributeRule) -> set[str]:
    return {OF_KINDS.get(kind, kind) for kind in rule.kinds}


def values(path: str, kinds: set[str], seen: dict[str, list[Any]]) -> Iterator[Any]:
    """The values to try for an attribute, without duplicates."""
    rule, given = ATTRIBUTES[path], seen.get(path, [])[:MOST_SEEN]
    texts = [str(value) for value in given if isinstance(value, int | float) and "string" in kinds]
    forms = [form for kind in sorted(kinds) for form in (*TEXTS[kind], *SAMPLES[kind])]
    done: set[str] = set()
    for value in (*given, *texts, *rule.one_of, *forms):
        key = json.dumps(value, sort_keys=True, default=str)
        if key not in done:
            done.add(key)
            yield value


def document(path: str, value: Any, seen: dict[str, list[Any]]) -> dict[str, Any]:
    """A compose file in which the attribute has the value; its surroundings are taken from a golden file."""
    whole: dict[str, Any] = {"services": {"web": {"image": "demo:1"}}}
    parts = path.split(".")
    _put(whole, parts, (), value, seen)
    return whole


def _put(at: Any, parts: list[str], above: tuple[str, ...], value: Any, seen: dict[str, list[Any]]) -> None:
    part, rest = parts[0], parts[1:]
    key: Any = NAMES.get(above[0] if above else "", "one") if part == "*" else part
    here = (*above, part)
    if part == "[]":
        at.append(value if not rest else _around(here, rest[0], seen))
        key = -1
    elif not rest:
        at[key] = value
    elif not (isinstance(at.get(key), list if rest[0] == "[]" else dict)):
        at[key] = _around(here, rest[0], seen)
    if rest:
        _put(at[key], rest, here, value, seen)


def _around(path: tuple[str, ...], below: str, seen: dict[str, list[Any]]) -> Any:
    """The mapping or list at a path of some golden file, to insert a value; a new one when there is none."""
    if below == "[]":
        return []
    found = [value for value in seen.get(".".join(path), ()) if isinstance(value, dict)]
    usual = next((value for value in found if below in value), next(iter(found), {}))
    rule = ATTRIBUTES.get(".".join(path))
    kept = {key: item for key, item in usual.items() if rule is None or key in rule.required or below == "*"}
    return copy.deepcopy(kept)


def read(text: str) -> LoadedProject:
    return load(["-"], {"TAG": "1"}, "shop", "/p", {"-": text.encode()}.get, current="/p")


def judged(path: str, value: Any, seen: dict[str, list[Any]]) -> str:
    """A sentence that says what is wrong with the outcome; "" when it is right."""
    text = json.dumps(document(path, value, seen))
    try:
        found = read(text)
    except Invalid as error:
        return "" if _is_named(path, str(error)) else f"refused without its name: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    (written,) = parse_yaml(Report(), "stdin", text)
    dropped = [one for one in not_in_project(written, found) if not any(_last(one) in note for note in found.notes)]
    return f"dropped: {dropped}" if dropped else ""


def _is_named(path: str, message: str) -> bool:
    """Whether every line has a place: the attribute, a part of it, or an attribute of the service that contains it."""
    if path.startswith("services.*.profiles") and "every service is in a profile" in message:
        return True
    whole = [part for part in path.split(".") if part != "[]"]
    named = [NAMES.get(whole[0], "") if part == "*" and number == 1 else part for number, part in enumerate(whole)]
    is_part = len(named) > 2 and whole[1] == "*" and not ATTRIBUTES[whole[0]].refusal
    root = ".".join(named[:3] if is_part else named[:1])
    return all(root in line or f"has no {whole[-1]}" in line for line in message.splitlines())


def _last(path: str) -> str:
    return next(part for part in reversed(path.split(".")) if part != "[]")


@pytest.mark.parametrize(
    "section", ["services.*.build", "services.*.deploy", "services.*", "networks", "volumes", "other"]
)
def test_every_form_of_every_attribute_is_honoured_or_refused_by_name(section: str, seen: dict[str, list[Any]]) -> None:
    sections = ("services.*.build", "services.*.deploy", "services.*", "networks", "volumes")
    wrong = []
    for path, kinds in sorted(types().items()):
        mine = next((one for one in sections if path.startswith(one)), "other")
        if mine == section and path not in ("services", "services.*", "include", "version"):
            for value in values(path, kinds, seen):
                if problem := judged(path, value, seen):
                    wrong.append(f"{path} = {value!r}: {problem[:300]}")

    assert wrong == []
