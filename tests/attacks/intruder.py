"""What a local user without rights can do, tried in a child process that has become one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534


def become(uid: int = NOBODY) -> None:
    """Give every right away; for a child process."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def run_as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an ordinary user."""
    script = "import os, sys; os.setgroups([]); os.setresgid(*[65534]*3); os.setresuid(*[65534]*3); os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)


def can_read(path: Path) -> bool:
    """Whether an ordinary user can read a file."""
    return run_as_nobody("/bin/cat", str(path)).returncode == 0
