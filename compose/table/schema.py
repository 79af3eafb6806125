"""The attribute table as a tree, for walking it along with a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compose.table.attributes import ATTRIBUTES, OURS
from compose.table.rule import AttributeRule


@dataclass(slots=True)
class Schema:
    """A node of the table's tree: its rule and its children."""

    pattern: str
    rule: AttributeRule
    below: dict[str, Schema] = field(default_factory=dict)

    def child(self, part: str) -> Schema | None:
        """The child for a key or an item ("[3]"); None when there is none."""
        if part.startswith("["):
            return self.below.get("[]")
        return self.below.get(part) or self.below.get("*")

    @property
    def names(self) -> list[str]:
        """The known keys of the children."""
        return [name for name in self.below if name not in ("*", "[]")]


def _grow(table: Mapping[str, AttributeRule]) -> Schema:
    root = Schema("", AttributeRule(("map",)))
    for path, rule in sorted(table.items(), key=lambda item: item[0].count(".")):
        parent, parts = root, path.split(".")
        for part in parts[:-1]:
            parent = parent.below[part]
        parent.below[parts[-1]] = Schema(path, rule)
    return root


SCHEMA = _grow({**ATTRIBUTES, **OURS})
