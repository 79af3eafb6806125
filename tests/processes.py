"""What tests start ends with them: processes are known by a mark in the environment that they inherit."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

MARK = "ARGOSY_TEST_RUN"
"""Environment variable with the name of a run."""

TRACKER = "multiprocessing.resource_tracker"
"""Python's own process, started once for all pools of processes; it ends when this one does, and not before."""


def started_by(run: str) -> dict[int, str]:
    """Processes of a run other than this one: pid → command line, and the test during which it was started."""
    found = {}
    wanted = f"{MARK}={run}".encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # it has ended
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if TRACKER in command:
                continue
            if wanted in environment and command:  # none: it has ended, and waits for its parent
                test = next((one for one in environment if one.startswith(b"PYTEST_CURRENT_TEST=")), b"=no test")
                found[int(process.name)] = f"{command[:200]} (started in {test.partition(b'=')[2].decode()})"
    return found


def left_by(run: str, patience: float) -> dict[int, str]:
    """The same, of those that have not ended within so many seconds."""
    end = time.monotonic() + patience
    while (left := started_by(run)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
