"""Every attribute that is honoured makes a difference: taken out of a file, the project is another, or cannot be.

The attributes are taken out of the golden cases, one at a time. NO_DIFFERENCE are those that have no part in deploying,
or cannot make a difference for another reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.errors import Invalid
from compose.load import PHASES
from compose.model.load_state import LoadState
from compose.read.tree import Path as Place
from compose.read.tree import TreeNode, children
from compose.table.attributes import ATTRIBUTES
from compose.table.schema import SCHEMA, Schema
from tests.compose.test_golden import ENVIRONMENT, GOLDEN, PROJECT, reader

TRIES = 6
"""Cases in which an attribute may show that it matters."""
NO_DIFFERENCE = {
    "version": "it has no meaning any more",
    "name": "the cases are loaded with a name for the stack; test_load.py has its own",
    "networks.*.driver": "every driver that is taken makes an overlay network",
}


@pytest.fixture(scope="module")
def without_effect() -> list[str]:
    places: dict[str, list[tuple[Path, int, Place]]] = {}
    loaded = {case: found for case in sorted(GOLDEN.iterdir()) if (found := _load(case)) is not None}
    for case, work in loaded.items():
        for number, document in enumerate(_sources(case).documents):
            for pattern, place in _places(document, SCHEMA, ()):
                places.setdefault(pattern, []).append((case, number, place))
        assert work.result is not None
    return [
        pattern
        for pattern, rule in ATTRIBUTES.items()
        if not rule.refusal
        and not any(
            _matters(loaded, *where, is_built=pattern.startswith("services.*.build"))
            for where in _spread(places.get(pattern, []))
        )
    ]


def test_no_honoured_attribute_is_dropped(without_effect: list[str]) -> None:
    assert [path for path in without_effect if path not in NO_DIFFERENCE and not _is_told(path)] == []


def _is_told(path: str) -> bool:
    """Whether the manual says, here or further up, that it has no effect."""
    parts = path.split(".")
    above = [ATTRIBUTES[".".join(parts[:length])] for length in range(1, len(parts) + 1)]
    return any(rule.note or rule.how.startswith("taken note of") for rule in above)


def _spread(places: list[tuple[Path, int, Place]]) -> list[tuple[Path, int, Place]]:
    """A few of them, of different cases where there are many."""
    return places[:: max(1, len(places) // TRIES)]


def _matters(loaded: dict[Path, LoadState], case: Path, number: int, place: Place, *, is_built: bool) -> bool:
    """`is_built`: it is for `stack build`, which takes it from the project."""
    changed = _load(case, number, place)
    if changed is None:
        return True
    return changed.project != loaded[case].project if is_built else changed.result != loaded[case].result


def _sources(case: Path) -> LoadState:
    files = [name for name in ("in.yaml", "override.yaml") if (case / name).exists()]
    work = LoadState(tuple(files), "shop", PROJECT, ENVIRONMENT, reader(case), PROJECT)
    return PHASES[1](PHASES[0](work)) if files else replace(work, files=())


def _load(case: Path, number: int = 0, taken: Place = ()) -> LoadState | None:
    """The case without what is at a place; None when it cannot be loaded."""
    work = _sources(case)
    if not work.files or (case / "args.json").exists():
        return None
    documents = list(work.documents)
    if taken:
        documents[number] = _without(documents[number], taken)
    work = replace(work, documents=tuple(documents))
    try:
        for phase in PHASES[2:]:
            work = phase(work)
    except Invalid:
        return None
    return work


def _without(node: TreeNode, place: Place) -> TreeNode:
    first, rest = place[0], place[1:]
    kept = [
        (part, _without(child, rest) if part == first else child)
        for part, child in children(node)
        if rest or part != first
    ]
    return node.with_value(dict(kept) if isinstance(node.value, dict) else [child for _, child in kept])


def _places(node: TreeNode, schema: Schema, place: Place) -> Iterator[tuple[str, Place]]:
    if place:
        yield schema.pattern, place
    for part, child in children(node):
        if below := schema.child(part):
            yield from _places(child, below, (*place, part))
