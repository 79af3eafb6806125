"""Signals to a container's first process that are not lost when they come early.

The kernel drops what the first process of a PID namespace has no handler for. A program that is told to stop while it
is still starting (its interpreter loads, its entrypoint's script runs) would so go on to the end of its grace period.
Here a signal that may have been dropped is sent once more when the program has made itself a handler.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.runtime.containers.container_record import Record, lives
from kit import process

_FIRST_LOOK, _LONGEST_PAUSE = 0.01, 0.2
"""Seconds until the second look, and between two at most; each pause is twice the one before."""
_OWN_INIT = "runc:["
"""How runc names its process until it becomes the program, which never sees what that process catches."""


async def again(kept: Record, number: int) -> None:
    """Signal a container whose first process did not catch the signal, once it does; as long as it lives."""
    pause = _FIRST_LOOK
    while lives(kept.pid, kept.pid_born):
        if catches(kept.pid, number):
            process.send_signal(kept.pid, number)
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, or is gone."""
    try:
        return is_caught(Path(f"/proc/{pid}/status").read_text(), number)
    except OSError:
        return True


def is_caught(status: str, number: int) -> bool:
    """Whether the program has a handler for a signal, by the text of its /proc/PID/status."""
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}
    if fields.get("Name", "").startswith(_OWN_INIT):
        return False
    return bool(int(fields.get("SigCgt", "0"), 16) >> (number - 1) & 1)
