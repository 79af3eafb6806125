"""Commands of the machine, run for the lab and the host check."""

from __future__ import annotations

import subprocess

from api.errors import ArgosyError


class CommandFailed(ArgosyError):
    """A command of the machine failed."""


def run(*command: str, stdin: str = "") -> str:
    """Run a command to its end and return its output. Raises CommandFailed with its error output."""
    done = try_run(*command, stdin=stdin)
    if done.returncode:
        words = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise CommandFailed(f"{' '.join(command)}: {words}")
    return done.stdout


def try_run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return the result, whatever its exit code. A missing command has exit code 127."""
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: not found")
