"""The state of loading a project, passed from phase to phase. Each phase fills in its part and keeps the rest."""

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
"""Reads a file by absolute path ("-": standard input). Returns None when it does not exist. Raises OSError."""


@dataclass(frozen=True, slots=True)
class LoadState:
    """The state of one load: of the project itself, or of an included or extended file."""

    files: tuple[str, ...]
    """As the user named them; "-" is standard input. Empty for the default names."""
    stack: str
    """The stack's name; "" to use the project's own."""
    directory: str
    """The absolute project directory, which relative paths are relative to. "" until the files are known."""
    environment: Mapping[str, str]
    """Variables for interpolation. The first phase adds `.env`."""
    read: FileReader
    current: str = "/"
    """The working directory of the command."""
    env_files: tuple[str, ...] = ()
    """Files to read in place of `.env`."""
    profiles: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()
    """Files being included or extended, outermost first, to detect cycles."""
    documents: tuple[TreeNode, ...] = ()
    """One tree per YAML document, until they are merged."""
    tree: TreeNode = EMPTY
    inactive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Services left out because of their profiles, with these profiles."""
    contents: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """Contents of secrets, configs and seccomp profiles, by kind and short name or path."""
    project: Project | None = None
    result: Stack | None = None
    report: Report = field(default_factory=Report)

    def text(self, path: str) -> str | None:
        """A file's text; None when it does not exist. Raises OSError, UnicodeDecodeError."""
        found = self.read(path)
        return found.decode() if isinstance(found, bytes) else found

    def data(self, path: str) -> bytes | None:
        """A file's bytes; None when it does not exist. Raises OSError."""
        found = self.read(path)
        return found.encode() if isinstance(found, str) else found

    def shown(self, path: str) -> str:
        """A file's name in messages: relative to the working directory when it is below that."""
        if path == "-":
            return "stdin"
        inside = os.path.isabs(path) and path.startswith(self.current.rstrip("/") + "/")
        return os.path.relpath(path, self.current) if inside else path


Phase = Callable[[LoadState], LoadState]
