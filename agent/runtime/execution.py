"""A further command in a running container (health checks, hooks), through the OCI runtime, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.base import Output
from agent.runtime.subgroups import Subgroup
from kit import process

_MOST_OUTPUT = 1 << 20
_REAP = 1.0
"""Seconds the runtime's client gets to see that its command was killed."""


async def run_in(
    binary: str, state: Path, scratch: Path, id: str, shape: dict[str, Any], timeout: float, group: Subgroup
) -> Output:
    """Run the OCI `process` of that shape in a container, in the control group.

    Raises TimeoutError after killing it and all that it has started.
    """
    sheet, output = (os.memfd_create(name) for name in ("process", "output"))
    pid_file = scratch / f"{id}-exec-{sheet}"
    arguments = ["exec", "--process", f"/proc/self/fd/{sheet}", "--pid-file", str(pid_file)]
    try:
        os.write(sheet, msgspec.json.encode(shape | {"terminal": False}))
        if await asyncio.to_thread(_made, group):
            arguments += ["--cgroup", group.argument]
        # Output goes to a file and not to a pipe, which a grandchild could hold open.
        child = await asyncio.create_subprocess_exec(
            binary,
            *("--root", str(state), *arguments, id),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(sheet,),
        )
        try:
            async with asyncio.timeout(timeout):
                code = await child.wait()
        finally:
            # A task of its own, for it is to be done even if the caller is cancelled once more.
            await asyncio.shield(asyncio.ensure_future(_end(child, pid_file, group)))
        return Output(code, os.pread(output, _MOST_OUTPUT, 0))
    finally:
        os.close(sheet)
        os.close(output)


def _made(group: Subgroup) -> bool:
    try:
        group.make()
    except OSError:
        group.remove()
        return False  # the container is just ending, or its groups are not where they should be
    return True


async def _end(child: asyncio.subprocess.Process, pid_file: Path, group: Subgroup) -> None:
    """Kill the command and what it started, unless it ended by itself; the runtime's client then ends too."""
    if child.returncode is not None:
        await group.release()
    else:
        await group.kill()
        if (pid := _pid(pid_file)) and not await _ended(child):
            process.send_signal(pid, signal.SIGKILL)
        if not await _ended(child):
            child.kill()
            await child.wait()
        await group.kill()  # what the client had not yet moved there
    pid_file.unlink(missing_ok=True)


async def _ended(child: asyncio.subprocess.Process) -> bool:
    try:
        async with asyncio.timeout(_REAP):
            await child.wait()
    except TimeoutError:
        return False
    return True


def _pid(pid_file: Path) -> int:
    try:
        return int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return 0
