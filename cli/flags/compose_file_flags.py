"""The options that name compose files, and loading those files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from compose.load import LoadedProject, load


@dataclass(frozen=True, slots=True)
class ComposeFiles:
    """The files and options given. Without files: COMPOSE_FILE, or the usual names in this directory or a parent."""

    files: Sequence[str] = ()
    env_files: Sequence[str] = ()
    profiles: Sequence[str] = ()
    directory: str = ""

    def load(self, stack: str | None) -> LoadedProject:
        """The stack; notes go to stderr. Raises ComposeError, Invalid."""
        loaded = load(
            self.files,
            os.environ,
            stack or "",
            self.directory,
            env_files=self.env_files,
            profiles=self.profiles,
        )
        for note in loaded.notes:
            click.echo(f"note: {note}", err=True)
        return loaded


_OPTIONS = (
    click.option(
        "-c",
        "--compose-file",
        "files",
        multiple=True,
        metavar="FILE",
        help='A compose file, "-" for standard input; later ones win. [compose.yaml, docker-compose.yml, …]',
    ),
    click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, in place of .env."),
    click.option(
        "--profile", "profiles", multiple=True, metavar="NAME", help='A profile of services to have, "*" for all.'
    ),
    click.option(
        "--project-directory", "directory", default="", metavar="DIR", help="What relative paths are relative to."
    ),
)


def compose_files(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command; it gets them as one argument, `files`."""

    @functools.wraps(function)
    def command(
        *, files: Sequence[str], env_files: Sequence[str], profiles: Sequence[str], directory: str, **rest: Any
    ) -> Any:
        return function(files=ComposeFiles(files, env_files, profiles, directory), **rest)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command
