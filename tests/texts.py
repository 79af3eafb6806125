"""What people are shown of reasons, for tests that read it."""

from __future__ import annotations

from api.objects.decided import UpdateStatus
from api.objects.observed import TaskStatus
from api.reasons.reason_text import task_error, task_message, update_message


def message_of(status: TaskStatus) -> str:
    """Docker's Status.Message."""
    return task_message(status.state, status.reason)


def error_of(status: TaskStatus) -> str:
    """Docker's Status.Err."""
    return task_error(status.state, status.reason)


def update_text(status: UpdateStatus) -> str:
    """Docker's UpdateStatus.Message."""
    return update_message(status.state, status.reason)
