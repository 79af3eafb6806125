"""Errors of commands: click prints the sentence and exits with the error's code."""

from __future__ import annotations

from typing import ClassVar

import click


class Failed(click.ClickException):
    """The command could not do what it was asked for."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message.strip() or "the daemon gave no reason")


class Unreachable(Failed):
    """No daemon answers at the address."""


class ConnectionLost(Failed):
    """The daemon closed a connection before its answer was complete."""


class ApiError(Failed):
    """The daemon refused; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_missing(self) -> bool:
        """Whether the object asked for does not exist."""
        return self.status == 404


class BadArgument(click.UsageError):
    """An argument is wrong; exit code 2."""
