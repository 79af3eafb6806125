"""The tree of a compose file before the model is built: plain values, each with its place in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Union

import msgspec

Scalar = str | int | float | bool | None
Content = Union[Scalar, dict[str, "TreeNode"], list["TreeNode"]]  # noqa: UP007  (a forward reference in a value)
Path = tuple[str, ...]
"""Keys from the root; list items are "[0]", "[1]", …"""

RESET = "!reset"
OVERRIDE = "!override"
BROKEN = "!broken"
"""Tag of a value whose problem was reported; later phases skip it."""


class Mark(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class TreeNode(msgspec.Struct, frozen=True):
    """A value and its place. `tag` is "" or one of the tags above. Not modified once its phase has ended."""

    value: Content
    mark: Mark
    tag: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether its problem was reported already."""
        return self.tag == BROKEN

    @property
    def items(self) -> list[TreeNode]:
        """The list's items; empty when it is not a list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def entries(self) -> dict[str, TreeNode]:
        """The mapping's entries; empty when it is not a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def text(self) -> str:
        """The scalar as text ("" for null, lists and mappings)."""
        return scalar_text(self.value)

    def get(self, *keys: str) -> TreeNode | None:
        """The descendant at the keys; None when there is none."""
        node: TreeNode | None = self
        for key in keys:
            node = node.entries.get(key) if node else None
        return node

    def at(self, *keys: str) -> dict[str, TreeNode]:
        """The entries of the mapping at the keys; empty when there is none."""
        node = self.get(*keys)
        return node.entries if node else {}

    def with_value(self, value: Content) -> TreeNode:
        """A copy with another value."""
        return self if value is self.value else TreeNode(value, self.mark, self.tag)

    def without_tag(self) -> TreeNode:
        """A copy without the tag `!override`."""
        return TreeNode(self.value, self.mark) if self.tag else self

    def broken(self) -> TreeNode:
        """A copy marked as reported."""
        return TreeNode(None, self.mark, BROKEN)


def scalar_text(value: object) -> str:
    """A scalar as text, as compose writes it into strings: true, 1.5, text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))  # 1.0 is 1, as Go writes it
    return str(value) if isinstance(value, str | int | float) else ""


def plain(node: TreeNode) -> Any:
    """The tree as plain values, without marks and broken parts."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items() if item.tag != BROKEN}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value if item.tag != BROKEN]
    return node.value


def show(path: Path) -> str:
    """A path as shown in messages: services.web.ports[0]."""
    return "".join(part if part.startswith("[") or not number else f".{part}" for number, part in enumerate(path))


def children(node: TreeNode) -> Iterator[tuple[str, TreeNode]]:
    """The direct children, each with its part of the path."""
    if isinstance(node.value, dict):
        yield from node.value.items()
    elif isinstance(node.value, list):
        yield from ((f"[{number}]", item) for number, item in enumerate(node.value))


def items_of(node: TreeNode, *keys: str) -> list[TreeNode]:
    """The items of the list at the keys; empty when there is none."""
    found = node.get(*keys)
    return found.items if found else []


def text_of(node: TreeNode, *keys: str) -> str:
    """The text of the scalar at the keys; "" when there is none."""
    found = node.get(*keys)
    return found.text if found else ""


def is_extension(key: str) -> bool:
    """Whether a key is an extension (x-…)."""
    return key.startswith("x-")


def is_argosy_extension(key: str) -> bool:
    """Whether a key has the prefix of Argosy's own extensions. Unknown ones of these are errors."""
    return key.startswith("x-argosy-")
