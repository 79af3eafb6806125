"""Every case of tests/golden/compose: files in, the exact stack or the exact error text out.

A case is a directory with in.yaml, perhaps override.yaml, .env and other files it reads, and out.json or error.txt.
Set GOLDEN_WRITE=1 to write what comes out; then read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from api import codec
from compose.load import Loaded, load
from compose.problems import ComposeError

GOLDEN = Path(__file__).parents[1] / "golden" / "compose"
ENVIRONMENT = {"HOME": "/home/u", "TAG": "2.0", "EMPTY": "", "REPLICAS": "4", "COLOUR": "blue"}
PROJECT = "/project"


def run(case: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.chdir(case)
    monkeypatch.setenv("HOME", "/home/u")
    files = [name for name in ("in.yaml", "override.yaml") if (case / name).exists()]

    def read(path: str) -> str | None:
        inside = case / path.removeprefix(PROJECT + "/") if path.startswith(PROJECT) else Path(path)
        return inside.read_text() if inside.exists() else None

    return load(files, ENVIRONMENT, "shop", PROJECT, read)


def shown(loaded: Loaded) -> str:
    stack = loaded.stack
    document = {
        "networks": [codec.shown(spec) for spec in stack.networks],
        "external": list(stack.external_networks),
        "services": [
            {
                "spec": codec.shown(item.spec),
                **({"after": [f"{w.service}: {w.condition}" for w in item.after]} if item.after else {}),
            }
            for item in stack.services
        ],
        "notes": list(loaded.notes),
    }
    return json.dumps({key: value for key, value in document.items() if value}, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", sorted(p for p in GOLDEN.iterdir() if p.is_dir()), ids=lambda path: path.name)
def test_the_files_come_to_what_is_written_beside_them(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        name, text = "out.json", shown(run(case, monkeypatch))
    except ComposeError as error:
        name, text = "error.txt", f"{error}\n"
    if os.environ.get("GOLDEN_WRITE"):
        (case / name).write_text(text)
    assert text == (case / name).read_text()
    assert {p.name for p in case.iterdir()} & {"out.json", "error.txt"} == {name}
