"""The checkpoint: assignments and statuses on disk, from which a restarted agent continues without any manager.

One file of JSON lines. An Assignments line is a message as received (a full one begins a new file); a Noted line is
the status of a task that runs or has ended. The set is in memory too, and the file is rewritten when it has grown to
several times the set: so a change costs one short write, whatever the size of the cluster.

Lines are not synced: they survive a crash of the agent in the kernel, and after a power cut no container runs any more.
A torn last line is dropped. Written by the runners (statuses) and the worker (assignments).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from agent.lifecycle.assignment_set import AssignmentChange, AssignmentSet
from agent.session.assignment_reader import read_entries
from api.codec import Value, encode
from api.errors import Invalid
from api.objects.observed import TaskStatus
from api.wire.assignments import Assignment, SecretAssignment
from api.wire.session_messages import Assignments
from kit.reported_once import ReportedOnce
from kit.troubles import Troubles

log = structlog.get_logger(__name__)

REWRITE_BYTES = 1024 * 1024
"""A file below this size is not rewritten."""
REWRITE_FACTOR = 4
ABOUT = "assignments on disk"


class Noted(Value, frozen=True, tag="noted"):
    """A task's status when the line was written; the task's last line counts."""

    task_id: str
    status: TaskStatus


Line = Assignments | Noted


class Checkpoint:
    """The assignment set and the tasks' statuses, in memory and in `<directory>/assignments.jsonl`."""

    def __init__(self, directory: Path, troubles: Troubles | None = None) -> None:
        self._troubles = troubles or Troubles()
        self.assignments = AssignmentSet()
        self.statuses: dict[str, TaskStatus] = {}
        self._path = directory / "assignments.jsonl"
        self._fd = -1
        self._size = 0
        self._base = 0

    def load(self) -> None:
        """Read the file of an earlier agent. An unreadable line is skipped, and the others are used."""
        self.assignments, self.statuses = AssignmentSet(), {}
        data, reported = b"", ReportedOnce()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            data = self._path.read_bytes()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._failed(error)
        damaged = [number for number, line in enumerate(data.splitlines(), 1) if not self._restore(line, reported)]
        if damaged:
            # A crash can tear the last line only. For other damage, a copy of the file stays for analysis.
            log.error("assignments on disk cannot be read", file=str(self._path), lines=damaged)
            self._path.with_suffix(".damaged").write_bytes(data)
        self._rewrite()

    def apply(self, message: Assignments) -> AssignmentChange:
        """Apply a message and write it down. Returns what it changed."""
        change = self._take(message)
        if message.full:
            self._rewrite()
        else:
            self._append(msgspec.structs.replace(message, put=_without_secrets(message.put)))
        return change

    def note(self, task_id: str, status: TaskStatus) -> None:
        """Write a task's status down."""
        line = Noted(task_id, status)
        self._take(line)
        self._append(line)

    def erase(self) -> None:
        """Delete everything, in memory and on disk."""
        self.assignments = AssignmentSet()
        self.statuses.clear()
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _restore(self, data: bytes, reported: ReportedOnce) -> bool:
        """Apply a line that an agent of any version wrote, as far as it is readable. False if none of it was."""
        try:
            self._take(read_entries(Line, data, reported))
        except Invalid as error:
            log.warning("a line of the assignments on disk is left out", reason=str(error))
            return False
        return True

    def _take(self, line: Line) -> AssignmentChange:
        if isinstance(line, Noted):
            self.statuses[line.task_id] = line.status
            return AssignmentChange()
        change = self.assignments.apply(line)
        for id in change.removed_ids("task"):
            self.statuses.pop(id, None)
        return change

    def _append(self, line: Line) -> None:
        data = encode(line) + b"\n"
        if self._fd < 0 or self._size + len(data) > max(REWRITE_BYTES, REWRITE_FACTOR * self._base):
            return self._rewrite()
        try:
            _write_all(self._fd, data)
            self._size += len(data)
        except OSError as error:
            self._failed(error)
        return None

    def _rewrite(self) -> None:
        lines: list[Line] = [Assignments(number=0, full=True, put=_without_secrets(self.assignments.all()))]
        lines += [Noted(id, status) for id, status in self.statuses.items()]
        data = b"".join(encode(line) + b"\n" for line in lines)
        fresh = self._path.with_suffix(".new")
        try:
            self.close()
            # Readable by root only: specs may have passwords in their environment.
            self._fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _write_all(self._fd, data)
            fresh.replace(self._path)
            self._base = self._size = len(data)
            self._troubles.resolve(ABOUT)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        # A full disk must not stop containers; the next line tries a whole new file.
        self._troubles.report(ABOUT, f"{self._path}: {error.strerror or error}")
        self.close()


def _without_secrets(resources: Iterable[Assignment]) -> list[Assignment]:
    """The assignments that may be written to a disk. Managers send the secrets again with the next session."""
    return [resource for resource in resources if not isinstance(resource, SecretAssignment)]


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
