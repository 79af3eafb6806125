"""The phases in the code are those on the page, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

from compose.load import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "design" / "compose-phases.md"


def test_the_page_tells_the_phases_in_their_order() -> None:
    told = re.findall(r"^## (\d+)\. `(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert told == [(str(number), phase.__name__) for number, phase in enumerate(PHASES, 1)]
