"""Pages of docs/design name files and functions that exist, and so do comments."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "api", "manager", "agent", "overlay", "compose", "node", "cli", "deploy")
PAGES = sorted((ROOT / "docs/design").glob("*.md"))
IN_ROOM = re.compile(rf"\b(?:{'|'.join(PACKAGES)}|tests)/[\w/]+\.py\b")
BARE = re.compile(r"(?<![\w/.])([a-z]\w*\.py)\b")


@cache
def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }


def names(tree: ast.Module) -> set[str]:
    """What a file defines: functions, classes, and methods as "Class.method"."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name")}
    return found


def test_the_walk_names_functions_that_exist() -> None:
    page = (ROOT / "docs/design/walk.md").read_text()
    named = re.findall(r"`([\w/]+\.py)` `([\w.]+)`", page)
    assert len(named) > 20
    assert [(file, name) for file, name in named if name not in names(ast.parse(sources()[file]))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_files_that_exist(page: Path) -> None:
    text = page.read_text()
    stems = {Path(file).name for file in sources()} | {path.name for path in (ROOT / "tests").rglob("*.py")}
    gone = {file for file in IN_ROOM.findall(text) if not (ROOT / file).exists()}
    assert gone | {file for file in BARE.findall(text) if file not in stems and file != "name.py"} == set()


def test_comments_name_files_that_exist() -> None:
    stems = {Path(file).name for file in sources()}
    gone = []
    for file, text in sources().items():
        for number, line in enumerate(text.splitlines(), 1):
            cited = [one for one in IN_ROOM.findall(line) if not (ROOT / one).exists()]
            cited += [one for one in re.findall(r"\(([a-z_0-9]+\.py)\)", line) if one not in stems]
            gone += [f"{file}:{number}: {one}" for one in cited]
    assert gone == []
