"""The report of a load: problems and notes that the phases collect, shown together at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from api.errors import Invalid
from compose.read.tree import Mark, Path, TreeNode, show


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A sentence about a place in a file: `file:line:col: path: sentence`."""

    mark: Mark
    path: Path
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.mark), show(self.path), self.sentence) if part)


class ComposeError(Invalid):
    """The compose files are invalid; the text has one problem per line."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def _stems_from(problem: Diagnostic, use: Diagnostic) -> bool:
    """Whether a problem is about the value that uses the variable, or about a value that contains it."""
    is_part = len(problem.path) > _WHOLE and use.path[: len(problem.path)] == problem.path
    return (problem.mark == use.mark and problem.path[:_WHOLE] == use.path[:_WHOLE]) or is_part


_WHOLE = 2
"""Length of the path of a service, network, …: a problem of all of it is not attributed to a variable inside."""


@dataclass(slots=True)
class Report:
    """Collects problems, which make the load fail, and notes, which do not."""

    problems: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    unset: list[tuple[Diagnostic, str]] = field(default_factory=list)
    """Each use of an unset variable, with the variable's name."""
    files: list[str] = field(default_factory=list)
    """In the order in which they were opened."""

    def add_file(self, file: str) -> None:
        """Record that a file was opened: problems are sorted by this order."""
        if file not in self.files:
            self.files.append(file)

    def error(self, node: TreeNode, path: Path, sentence: str) -> TreeNode:
        """Report a problem, once per node. Returns the node marked as broken."""
        if not node.is_broken:
            self.problems.append(Diagnostic(node.mark, path, sentence))
        return node.broken()

    def note(self, node: TreeNode, path: Path, sentence: str) -> None:
        """Add a note."""
        remark = Diagnostic(node.mark, path, sentence)
        if remark not in self.notes:
            self.notes.append(remark)

    def note_unset_variable(self, node: TreeNode, path: Path, name: str) -> None:
        """Note the use of an unset variable. Problems that stem from it will name it."""
        sentence = f"variable {name} is not set; an empty string is used"
        self.note(node, path, sentence)
        self.unset.append((Diagnostic(node.mark, path, sentence), name))

    def stems_from_unset(self, node: TreeNode, path: Path) -> bool:
        """Whether exactly this value uses an unset variable."""
        return any(use.mark == node.mark and use.path == path for use, _ in self.unset)

    def take(self, other: Report, wanted: Callable[[Path], bool]) -> None:
        """Add the entries of another report whose paths are wanted."""
        for file in other.files:
            self.add_file(file)
        self.problems += [one for one in other.problems if wanted(one.path) and one not in self.problems]
        self.notes += [one for one in other.notes if wanted(one.path) and one not in self.notes]
        self.unset += [one for one in other.unset if wanted(one[0].path) and one not in self.unset]

    def forget(self, path: Path) -> None:
        """Remove all entries at or below the path."""
        self.problems = [one for one in self.problems if one.path[: len(path)] != path]
        self.notes = [one for one in self.notes if one.path[: len(path)] != path]
        self.unset = [one for one in self.unset if one[0].path[: len(path)] != path]

    def _explained(self, problem: Diagnostic) -> Diagnostic:
        names = dict.fromkeys(name for use, name in self.unset if _stems_from(problem, use))
        if not names:
            return problem
        what = "variable" if len(names) == 1 else "variables"
        verb = "is" if len(names) == 1 else "are"
        return replace(problem, sentence=f"{problem.sentence} ({what} {', '.join(names)} {verb} not set)")

    def raise_problems(self) -> None:
        """Raise ComposeError if there are problems, sorted by file and line."""
        if self.problems:
            unique = dict.fromkeys(map(self._explained, self.problems))
            files = list(dict.fromkeys([*self.files, *(problem.mark.file for problem in unique)]))
            raise ComposeError(
                sorted(unique, key=lambda p: (files.index(p.mark.file), p.mark.line, p.mark.column, p.path))
            )
