"""Every honoured attribute makes a difference: without it, the project is different or does not load.

The attributes are removed from the golden cases, one at a time. NO_DIFFERENCE lists those that are not used for
deploying, or cannot make a difference for another reason.
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
"""Maximum number of cases to try per attribute."""
NO_DIFFERENCE = {
    "version": "it has no meaning any more",
    "name": "the cases are loaded with a name for the stack; test_load.py has its own",
    "networks.*.driver": "every driver that is taken makes an overlay network",
}


@pytest.fixture(scope="module")
def without_effect() -> list[str]:
    places: dict[str, list[tuple[Path, int, Place]]] = {}
    loaded = {case: found for case in sorted(GOLDEN.iterdir()) if (found := _load(case)) is not None}
    for case, state in loaded.items():
        for number, document in enumerate(_sources(case).documents):
            for pattern, place in _places(document, SCHEMA, ()):
                places.setdefault(pattern, []).append((case, number, place))
        assert state.result is not None
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
    assert [path for path in without_effect if path not in NO_DIFFERENCE and not _has_note(path)] == []


def _has_note(path: str) -> bool:
    """Whether the reference page says, for it or a parent, that it has no effect."""
    parts = path.split(".")
    above = [ATTRIBUTES[".".join(parts[:length])] for length in range(1, len(parts) + 1)]
    return any(rule.note or rule.how.startswith("taken note of") for rule in above)


def _spread(places: list[tuple[Path, int, Place]]) -> list[tuple[Path, int, Place]]:
    """At most TRIES of the places, from different cases."""
    return places[:: max(1, len(places) // TRIES)]


def _matters(loaded: dict[Path, LoadState], case: Path, number: int, place: Place, *, is_built: bool) -> bool:
    """Whether removing the place changes the result. `is_built`: compare the project, which `stack build` uses."""
    changed = _load(case, number, place)
    if changed is None:
        return True
    return changed.project != loaded[case].project if is_built else changed.result != loaded[case].result


def _sources(case: Path) -> LoadState:
    files = [name for name in ("in.yaml", "override.yaml") if (case / name).exists()]
    state = LoadState(tuple(files), "shop", PROJECT, ENVIRONMENT, reader(case), PROJECT)
    return PHASES[1](PHASES[0](state)) if files else replace(state, files=())


def _load(case: Path, number: int = 0, taken: Place = ()) -> LoadState | None:
    """The case without the value at a place; None when it cannot be loaded."""
    state = _sources(case)
    if not state.files or (case / "args.json").exists():
        return None
    documents = list(state.documents)
    if taken:
        documents[number] = _without(documents[number], taken)
    state = replace(state, documents=tuple(documents))
    try:
        for phase in PHASES[2:]:
            state = phase(state)
    except Invalid:
        return None
    return state


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
