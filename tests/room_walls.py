"""An import-linter contract: what a room lets others use is what its `__init__` names in `__all__`.

A room is a package. Whoever is inside it may import all of it; whoever is outside may import the files and rooms that
`__all__` names, and of the rooms again what theirs names. Rooms that are open (a vocabulary, such as `api`) need none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

ROOT = Path(__file__).parent.parent


class RoomWalls(Contract):
    """`rooms`: the packages that have walls, with all below them."""

    rooms: Any = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports that reach past a wall."""
        found = sorted(reaches(graph, set(self.rooms), public_names))
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Tell each."""
        for importer, imported, room in check.metadata["found"]:
            output.print_error(f"{importer} -> {imported}: not in the __all__ of {room}")


def reaches(graph: ImportGraph, walled: set[str], public: Any) -> Iterator[tuple[str, str, str]]:
    """Imports past a wall: (importer, imported, room). `public(room)` gives the names in the room's `__all__`."""
    for imported in graph.modules:
        if imported.partition(".")[0] not in walled:
            continue
        for importer in graph.find_modules_that_directly_import(imported):
            for room, name in walls(importer, imported):
                if name not in public(room):
                    yield importer, imported, room


def walls(importer: str, imported: str) -> Iterator[tuple[str, str]]:
    """The walls between two modules: each room that only `imported` is in, and what of it is used."""
    parts = imported.split(".")
    for depth in range(1, len(parts)):
        room = ".".join(parts[:depth])
        if importer != room and not importer.startswith(f"{room}."):
            yield room, parts[depth]


def public_names(room: str) -> frozenset[str]:
    """What a room's `__init__` names in `__all__`."""
    tree = ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
