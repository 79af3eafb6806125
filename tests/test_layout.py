"""The size budget: a file that outgrows it wants to be two nouns."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "api", "manager", "agent", "overlay", "compose", "node", "cli", "deploy")
MOST_LINES, MOST_FUNCTION_LINES = 400, 60


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_no_file_is_longer_than_its_budget() -> None:
    long = [f"{path.relative_to(ROOT)}: {n}" for path in sources() if (n := path.read_text().count("\n")) > MOST_LINES]

    assert long == []


def test_no_function_is_longer_than_its_budget() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length}")

    assert long == []
