"""What is wrong with a compose file, and what the user should know: collected by every phase, told all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.errors import Invalid
from compose.tree import Mark, Node, Path, show


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about a place: `file:line:col: path: sentence`."""

    mark: Mark
    path: Path
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.mark), show(self.path), self.sentence) if part)


class ComposeError(Invalid):
    """Everything that is wrong, one problem per line."""

    def __init__(self, problems: list[Remark]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class Report:
    """Collects problems (which end the run) and notes (which do not)."""

    problems: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """As they were opened."""

    def opened(self, file: str) -> None:
        """Problems are told in the order of the files."""
        if file not in self.files:
            self.files.append(file)

    def wrong(self, node: Node, path: Path, sentence: str) -> Node:
        """Report a problem; returns the node marked as reported. A node is reported once."""
        if not node.is_broken:
            self.problems.append(Remark(node.mark, path, sentence))
        return node.broken()

    def note(self, node: Node, path: Path, sentence: str) -> None:
        """Say something by the way."""
        remark = Remark(node.mark, path, sentence)
        if remark not in self.notes:
            self.notes.append(remark)

    def close(self) -> None:
        """Raise ComposeError when there was a problem; in the order of the files."""
        if self.problems:
            unique = dict.fromkeys(self.problems)
            files = list(dict.fromkeys([*self.files, *(problem.mark.file for problem in unique)]))
            raise ComposeError(
                sorted(unique, key=lambda p: (files.index(p.mark.file), p.mark.line, p.mark.column, p.path))
            )
