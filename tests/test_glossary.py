"""docs/design/glossary.md has every file of the product, and no row whose file is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "api", "manager", "agent", "overlay", "compose", "node", "cli", "deploy")
PAGE = (ROOT / "docs/design/glossary.md").read_text()


def files() -> set[str]:
    """Every module, as "manager/store/state"; the demo's own programs are no modules of ours."""
    found = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {str(path.with_suffix("")) for path in found if path.name != "__init__.py" and "app" not in path.parts}


def listed() -> set[str]:
    """The files that the page names: below a heading "### a/, b/" a row says `a/name`, or `name` for the first."""
    found, rooms = set(), [""]
    for line in PAGE.splitlines():
        if line.startswith("#"):
            rooms = re.findall(r"([a-z]+(?:/[a-z]+)*)/(?=[,: ]|$)", line)
        elif line.startswith("| `"):
            for name in re.findall(r"`([a-z0-9_/]+)`", line.split("|")[1]):
                found.add(_file(name, rooms))
    return found


def _file(name: str, rooms: list[str]) -> str:
    folder = name.rpartition("/")[0]
    for room in rooms:
        if folder and (room == folder or room.endswith(f"/{folder}")):
            return f"{room}/{name.rpartition('/')[2]}"
    return f"{rooms[0]}/{name}"


def test_every_file_is_in_the_glossary() -> None:
    assert files() - listed() == set()


def test_every_row_has_its_file() -> None:
    assert listed() - files() == set()
