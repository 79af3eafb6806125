"""The rows of `service history`: the stored revisions of a service."""

from __future__ import annotations

import time
from collections.abc import Iterator

from api.engine.argosy import HistoryAnswer, RevisionAnswer
from api.service.difference_text import difference_line
from cli.show.formatting import ago, table
from cli.show.output import Row
from cli.timestamps import unix_time

COLUMNS = {"Number": "REVISION", "Created": "CREATED", "Image": "IMAGE", "State": "STATE", "Tasks": "TASKS"}


def history_rows(about: HistoryAnswer) -> list[Row]:
    """Rows, the newest first."""
    now = time.time()  # noqa: TID251
    return [
        {
            "Number": str(revision.number),
            "Created": ago(unix_time(revision.created_at), now),
            "Image": revision.image.partition("@")[0],
            "State": _state(revision),
            "Tasks": f"{revision.running}/{revision.tasks}" if revision.tasks else "",
            "SameAs": str(revision.same_as or ""),
        }
        for revision in about.revisions
    ]


def history_lines(about: HistoryAnswer, changes: bool) -> Iterator[str]:
    """The table, with each revision's changes below its row."""
    rows = history_rows(about)
    head, *lines = table(list(COLUMNS.values()), [[row[key] for key in COLUMNS] for row in rows])
    yield head
    for revision, line in zip(about.revisions, lines, strict=True):
        yield line
        if revision.same_as:
            yield f"    the same as revision {revision.same_as}"
        elif changes:
            yield from (f"    {difference_line(change)}" for change in revision.changes)


def _state(revision: RevisionAnswer) -> str:
    words = ["in force"] if revision.in_force else []
    if revision.wanted and not revision.in_force:
        words.append("wanted, not in force")
    if revision.previous:
        words.append("previous")
    return ", ".join(words)
