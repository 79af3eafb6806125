"""No attribute of the Compose Specification is dropped: each is honoured, or refused by name.

tests/data/compose-attributes.txt lists the paths of the specification's schema, one per line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from compose.attributes import ATTRIBUTES
from compose.kinds import KINDS
from compose.schema import SCHEMA

SPECIFICATION = (Path(__file__).parents[1] / "data" / "compose-attributes.txt").read_text().split()


def is_covered(path: str) -> bool:
    """Whether the table has the path, or refuses (or sets aside) the whole of something above it."""
    place = SCHEMA
    for part in path.split("."):
        if place.rule.refusal or place.rule.note:
            return True
        below = place.child("[0]" if part == "[]" else part)
        if below is None:
            return False
        place = below
    return True


@pytest.mark.parametrize("path", SPECIFICATION)
def test_every_attribute_of_the_specification_is_decided(path: str) -> None:
    assert is_covered(path)


def test_every_attribute_of_the_table_is_of_the_specification() -> None:
    known = set(SPECIFICATION)
    invented = [path for path in ATTRIBUTES if not path.endswith(("[]", "*")) and path not in known]
    assert invented == []


def test_kinds_exist() -> None:
    assert {kind for rule in ATTRIBUTES.values() for kind in rule.kinds} <= set(KINDS)


def test_a_refusal_says_why() -> None:
    assert all(len(rule.refusal) > 15 for rule in ATTRIBUTES.values() if rule.refusal)
