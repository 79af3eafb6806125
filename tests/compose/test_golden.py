"""The cases of tests/golden/compose: each loads to the exact stack or fails with the exact error text.

A case is a directory with in.yaml, optional files that it reads (override.yaml, .env, …), and out.json or error.txt.
The canonical form of every stack loads to the same stack.
Set GOLDEN_WRITE=1 to write the results; then review the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from api import codec
from api.errors import Invalid
from compose.load import LoadedProject, load
from compose.model.load_state import FileReader
from compose.model.stack import StackFile
from compose.read.report import Report
from compose.read.tree import TreeNode, children
from compose.read.yaml_reader import parse_yaml
from compose.table.attributes import ATTRIBUTES
from compose.table.schema import SCHEMA, Schema
from compose.translate.compose_file import as_json, as_yaml

GOLDEN = Path(__file__).parents[1] / "golden" / "compose"
ENVIRONMENT = {"HOME": "/home/u", "TAG": "2.0", "EMPTY": "", "REPLICAS": "4", "COLOUR": "blue"}
PROJECT = "/project"


def reader(case: Path) -> FileReader:
    def read(path: str) -> bytes | None:
        inside = case / ("stdin.yaml" if path == "-" else path.removeprefix(PROJECT + "/"))
        is_inside = path == "-" or path.startswith(PROJECT + "/")
        return inside.read_bytes() if is_inside and inside.is_file() else None

    return read


def run(case: Path, read: FileReader | None = None, **changes: Any) -> LoadedProject:
    """Load a case. args.json has the arguments that differ from the usual ones."""
    arguments = json.loads((case / "args.json").read_text()) if (case / "args.json").exists() else {}
    return load(
        **{
            "files": [name for name in ("in.yaml", "override.yaml") if (case / name).exists()],
            "stack": "shop",
            "current": PROJECT,
            **arguments,
            "environment": ENVIRONMENT | arguments.get("environment", {}),
            **changes,
        },
        read=read or reader(case),
    )


def _file(file: StackFile) -> dict[str, object]:
    return {"name": file.name, "data": file.data.decode(), "labels": dict(file.labels)}


def shown(loaded: LoadedProject) -> str:
    stack = loaded.stack
    document = {
        "networks": [codec.shown(spec) for spec in stack.networks],
        "external": list(stack.external_networks),
        "services": [codec.shown(item.spec) for item in stack.services],
        **{kind: [_file(file) for file in getattr(stack, kind)] for kind in ("secrets", "configs")},
        **{kind: list(getattr(stack, kind)) for kind in ("external_secrets", "external_configs")},
        "notes": list(loaded.notes),
    }
    return json.dumps({key: value for key, value in document.items() if value}, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", sorted(p for p in GOLDEN.iterdir() if p.is_dir()), ids=lambda path: path.name)
def test_a_case_has_the_expected_result(case: Path) -> None:
    try:
        loaded = run(case)
        name, text = "out.json", shown(loaded)
    except Invalid as error:
        name, text = "error.txt", f"{error}\n"
    if os.environ.get("GOLDEN_WRITE"):
        (case / name).write_text(text)
    assert text == (case / name).read_text()
    assert {p.name for p in case.iterdir()} & {"out.json", "error.txt"} == {name}
    if name == "out.json":
        again = load_text(case, as_yaml(loaded.project))
        assert again.project == loaded.project
        assert again.stack == loaded.stack
        assert as_yaml(again.project) == as_yaml(loaded.project)
        assert load_text(case, as_json(loaded.project)).project == loaded.project


def load_text(case: Path, text: str) -> LoadedProject:
    """The case, loaded from another text instead of its files."""
    files = reader(case)
    return run(case, lambda path: text.encode() if path == "-" else files(path), files=["-"], directory=PROJECT)


def test_every_attribute_is_in_a_case() -> None:
    met: set[str] = set()
    for path in GOLDEN.rglob("*.y*ml"):
        for document in parse_yaml(Report(), path.name, path.read_text(errors="replace")):
            _meet(document, SCHEMA, met)
    assert sorted(set(ATTRIBUTES) - met) == []


def _meet(node: TreeNode, schema: Schema, met: set[str]) -> None:
    met.add(schema.pattern)
    for part, child in children(node):
        if below := schema.child(part):
            _meet(child, below, met)
