"""The size budget: a file that outgrows it wants to be two nouns."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "api", "manager", "agent", "overlay", "compose", "node", "cli", "deploy")
MOST_LINES, MOST_FUNCTION_LINES = 500, 60


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


@cache
def trees() -> dict[Path, ast.Module]:
    """Every source file's syntax tree.

    Nothing is collected meanwhile: a destructor that shows a traceback parses, too, and Python before 3.11.8 takes
    that for an error in the parsing it comes in between ("AST constructor recursion depth mismatch").
    """
    gc.disable()
    try:
        return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sources()}
    finally:
        gc.enable()


def test_no_file_is_longer_than_its_budget() -> None:
    long = [f"{path.relative_to(ROOT)}: {n}" for path in sources() if (n := path.read_text().count("\n")) > MOST_LINES]

    assert long == []


def test_no_function_is_longer_than_its_budget() -> None:
    long = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    long.append(f"{path}:{node.lineno} {node.name}: {length}")

    assert long == []


def test_nothing_is_raised_inside_except_star() -> None:
    """Python before 3.11.4, which is Debian 12's, wraps it into a group that no caller expects."""
    found = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.TryStar):
                raised = (one for handler in node.handlers for one in ast.walk(handler) if isinstance(one, ast.Raise))
                found += [f"{path}:{one.lineno}" for one in raised]

    assert found == []


PLANNERS = ("manager/orchestrator", "manager/scheduler", "manager/allocator", "manager/assignments")
MODE_FIELDS = {"replicated", "global_", "replicated_job", "global_job"}
MODE_CLASSES = {"Replicated", "ReplicatedJob", "EmptyMode"}
MODE_KEYS = {"Replicated", "ReplicatedJob", "GlobalJob"}


def test_nobody_but_the_api_and_the_planners_knows_what_a_mode_is() -> None:
    """Others ask the spec (`is_job`, `replicas`, …), or make a mode of its name: `Mode.of`."""
    found = []
    for path, tree in trees().items():
        if path.parts[0] == "api" or path.as_posix().startswith(PLANNERS):
            continue
        for node in (one for one in ast.walk(tree) if isinstance(one, ast.expr | ast.stmt)):
            if isinstance(node, ast.Attribute):
                asks = node.attr in MODE_FIELDS or (node.attr == "mode" and _is_spec(node.value))
                asks |= isinstance(node.value, ast.Name) and node.value.id == "ModeKind" and path.parts[0] != "compose"
            elif isinstance(node, ast.ImportFrom):
                asks = any(alias.name in MODE_CLASSES for alias in node.names)
            else:
                asks = isinstance(node, ast.Constant) and node.value in MODE_KEYS
            if asks:
                found.append(f"{path}:{node.lineno}")

    assert found == []


NANOSECONDS = ("api", "cli", "compose", "agent/http", "agent/runtime", "manager/http")
"""Where Docker's nanoseconds come in and go out: the schema, the Engine API on both sides, the log files."""


def test_durations_are_seconds_but_where_docker_has_them_in_nanoseconds() -> None:
    """Others ask the spec (`delay_seconds`, `grace_seconds`, …)."""
    found = []
    for path, tree in trees().items():
        if path.as_posix().startswith(NANOSECONDS):
            continue
        for node in ast.walk(tree):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name == "SECOND":
                found.append(f"{path}:{node.lineno}")

    assert found == []


def _is_spec(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("spec", "mode") or (name.endswith("_spec") and name != "endpoint_spec")
