"""What goes from phase to phase: each phase fills in its part and leaves the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from compose.model.project import Project
from compose.model.stack import Stack
from compose.read.report import Report
from compose.read.tree import Mark, TreeNode

EMPTY = TreeNode({}, Mark("", 1, 1))
FileReader = Callable[[str], bytes | str | None]
"""What a file holds, by its absolute path ("-": standard input); None when it does not exist. Raises OSError."""


@dataclass(frozen=True, slots=True)
class LoadState:
    """The state of one load; of an included file and of one that is extended, too."""

    files: tuple[str, ...]
    """As the user named them; "-" is standard input. None: the default ones."""
    stack: str
    """"" when the project's own name is to be used."""
    directory: str
    """Absolute; relative paths are relative to it: the first file's. "": not known before the files are."""
    environment: Mapping[str, str]
    """For interpolation; `.env` is added by the first phase."""
    read: FileReader
    current: str = "/"
    """The directory the command was given in."""
    env_files: tuple[str, ...] = ()
    """Read in place of `.env`."""
    profiles: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()
    """Files that are being included or extended, outermost first: coming back to one of them is a circle."""
    documents: tuple[TreeNode, ...] = ()
    """One tree per file, until they are merged."""
    tree: TreeNode = EMPTY
    inactive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Services left out, with the profiles that would have them."""
    contents: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """What secrets and configs hold, by kind ("secrets", "configs") and short name."""
    project: Project | None = None
    result: Stack | None = None
    report: Report = field(default_factory=Report)

    def text(self, path: str) -> str | None:
        """A file's text. Raises OSError, UnicodeDecodeError."""
        found = self.read(path)
        return found.decode() if isinstance(found, bytes) else found

    def data(self, path: str) -> bytes | None:
        """A file's bytes. Raises OSError."""
        found = self.read(path)
        return found.encode() if isinstance(found, str) else found

    def shown(self, path: str) -> str:
        """How a file is called in messages: relative to where the command was given, when it is below that."""
        if path == "-":
            return "stdin"
        inside = os.path.isabs(path) and path.startswith(self.current.rstrip("/") + "/")
        return os.path.relpath(path, self.current) if inside else path


Phase = Callable[[LoadState], LoadState]
