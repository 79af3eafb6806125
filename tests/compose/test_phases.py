"""The phases in the code are those of docs/design/compose-phases.md, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

from compose.load import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "design" / "compose-phases.md"


def test_the_page_has_the_phases_in_order() -> None:
    listed = re.findall(r"^## (\d+)\. `(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert listed == [(str(number), phase.__name__) for number, phase in enumerate(PHASES, 1)]
