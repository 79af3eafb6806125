"""The page of behaviours is complete and true: every name of Swarm's suites is there, every test it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = (ROOT / "tests/data/behaviours.txt").read_text().splitlines()


def rows() -> dict[str, str]:
    """ "<chapter>: <name>" → what the page says of it."""
    found, chapter = {}, ""
    for line in (ROOT / "docs/design/behaviours.md").read_text().splitlines():
        if line.startswith("## "):
            chapter = line.removeprefix("## ")
        elif match := re.fullmatch(r"\| (.+?) \| (.+) \|", line):
            found[f"{chapter}: {match[1]}"] = match[2]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_behaviour_is_tested_or_differs_for_a_reason(name: str) -> None:
    said = rows().get(name, "")
    assert said, f"{name} is not on the page"
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", said)
    assert named or said.startswith("differs: ")
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"


def test_the_page_says_nothing_of_what_is_not_listed() -> None:
    header = {name for name in rows() if name.endswith(": swarmkit")}
    assert rows().keys() - header == set(NAMES)
