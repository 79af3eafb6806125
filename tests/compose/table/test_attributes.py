"""The attribute table has every attribute of the Compose Specification, honoured or refused by name.

tests/data/compose-attributes.txt lists the paths of the specification's schema, one per line.
"""

from __future__ import annotations

from pathlib import Path

from compose.phases.canonical import FORMS
from compose.phases.merge import RULES
from compose.read.value_kinds import KINDS
from compose.table.attributes import ATTRIBUTES, OURS
from compose.table.reference_page import reference_page

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
NEWER = (DATA / "compose-attributes-newer.txt").read_text().split()
"""Attributes added to the specification since the schema that the list was made from."""
SPECIFICATION = (DATA / "compose-attributes.txt").read_text().split() + NEWER


def test_the_table_has_every_attribute_of_the_specification_and_no_other() -> None:
    assert sorted(ATTRIBUTES) == sorted(SPECIFICATION)


def test_our_own_attributes_are_extensions_to_every_other_tool() -> None:
    assert all(path.split(".")[2].startswith("x-argosy-") for path in OURS)


def test_the_reference_page_is_generated_from_the_table() -> None:
    assert (ROOT / "docs" / "compose.md").read_text() == reference_page()


def test_the_reference_page_has_every_attribute() -> None:
    assert sum(line.startswith("| `") for line in reference_page().splitlines()) == len(SPECIFICATION) + len(OURS)


def test_forms_and_rules_of_merging_are_of_attributes_of_the_table() -> None:
    assert [path for path in (*FORMS, *RULES) if path not in ATTRIBUTES | OURS] == []


def test_kinds_exist() -> None:
    assert {kind for rule in ATTRIBUTES.values() for kind in rule.kinds} <= set(KINDS)


def test_every_attribute_accepts_something_or_is_refused() -> None:
    assert [path for path, rule in ATTRIBUTES.items() if bool(rule.kinds) == bool(rule.refusal)] == []


def test_a_refusal_says_why() -> None:
    assert all(len(rule.refusal) > 15 for rule in ATTRIBUTES.values() if rule.refusal)
