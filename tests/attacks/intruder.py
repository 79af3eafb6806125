"""What a local user without rights can do, tried in a child process that has become one."""

from __future__ import annotations

import subprocess
from pathlib import Path

NOBODY = 65534


def run_as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an ordinary user."""
    who = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    # setpriv keeps its capabilities up to its own exec(2): the command is to be the next one.
    program = ["setpriv", *who, "/bin/sh", "-c", 'exec "$0" "$@"', *command]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def can_read(path: Path) -> bool:
    """Whether an ordinary user can read a file."""
    return run_as_nobody("/bin/cat", str(path)).returncode == 0
