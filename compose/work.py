"""What goes from phase to phase: each phase fills in its part and leaves the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from compose.model import Project
from compose.problems import Report
from compose.stack import Stack
from compose.tree import Mark, Node

EMPTY = Node({}, Mark("", 1, 1))
FileReader = Callable[[str], str | None]
"""The text of a file by its absolute path, None when it does not exist. Raises OSError, UnicodeDecodeError."""


@dataclass(frozen=True, slots=True)
class Work:
    """The state of one load."""

    files: tuple[str, ...]
    """As the user named them; "-" is standard input."""
    stack: str
    """"" when the project's own name is to be used."""
    directory: str
    """Relative paths are relative to it: the first file's."""
    environment: Mapping[str, str]
    """For interpolation; `.env` is added by the first phase."""
    read: FileReader
    profiles: frozenset[str] = frozenset()
    documents: tuple[Node, ...] = ()
    """One tree per file, until they are merged."""
    tree: Node = EMPTY
    project: Project | None = None
    result: Stack | None = None
    report: Report = field(default_factory=Report)


Phase = Callable[[Work], Work]
