"""What is wrong with a compose file, and what the user should know: collected by every phase, told all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from api.errors import Invalid
from compose.read.tree import Mark, Path, TreeNode, show


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A sentence about a place: `file:line:col: path: sentence`."""

    mark: Mark
    path: Path
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.mark), show(self.path), self.sentence) if part)


class ComposeError(Invalid):
    """Everything that is wrong, one problem per line."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def _stems_from(problem: Diagnostic, use: Diagnostic) -> bool:
    """Whether a problem is about a value in which the variable was used: that one, or one it is a part of."""
    is_part = len(problem.path) > _WHOLE and use.path[: len(problem.path)] == problem.path
    return (problem.mark == use.mark and problem.path[:_WHOLE] == use.path[:_WHOLE]) or is_part


_WHOLE = 2
"""Parts of the path of a service, a network …: what is wrong with all of one need not come of a variable in it."""


@dataclass(slots=True)
class Report:
    """Collects problems (which end the run) and notes (which do not)."""

    problems: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    unset: list[tuple[Diagnostic, str]] = field(default_factory=list)
    """Where a variable was used that is not set, and which."""
    files: list[str] = field(default_factory=list)
    """As they were opened."""

    def add_file(self, file: str) -> None:
        """Problems are told in the order of the files."""
        if file not in self.files:
            self.files.append(file)

    def error(self, node: TreeNode, path: Path, sentence: str) -> TreeNode:
        """Report a problem; returns the node marked as reported. A node is reported once."""
        if not node.is_broken:
            self.problems.append(Diagnostic(node.mark, path, sentence))
        return node.broken()

    def note(self, node: TreeNode, path: Path, sentence: str) -> None:
        """Say something by the way."""
        remark = Diagnostic(node.mark, path, sentence)
        if remark not in self.notes:
            self.notes.append(remark)

    def note_unset_variable(self, node: TreeNode, path: Path, name: str) -> None:
        """A variable was used that is not set: noted, and named in every problem that comes of it."""
        sentence = f"variable {name} is not set; an empty string is used"
        self.note(node, path, sentence)
        self.unset.append((Diagnostic(node.mark, path, sentence), name))

    def stems_from_unset(self, node: TreeNode, path: Path) -> bool:
        """Whether a variable that is not set was used just there."""
        return any(use.mark == node.mark and use.path == path for use, _ in self.unset)

    def take(self, other: Report, wanted: Callable[[Path], bool]) -> None:
        """What another report has at the paths that are wanted."""
        for file in other.files:
            self.add_file(file)
        self.problems += [one for one in other.problems if wanted(one.path) and one not in self.problems]
        self.notes += [one for one in other.notes if wanted(one.path) and one not in self.notes]
        self.unset += [one for one in other.unset if wanted(one[0].path) and one not in self.unset]

    def forget(self, path: Path) -> None:
        """Nothing below the path counts."""
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
        """Raise ComposeError when there was a problem; in the order of the files."""
        if self.problems:
            unique = dict.fromkeys(map(self._explained, self.problems))
            files = list(dict.fromkeys([*self.files, *(problem.mark.file for problem in unique)]))
            raise ComposeError(
                sorted(unique, key=lambda p: (files.index(p.mark.file), p.mark.line, p.mark.column, p.path))
            )
