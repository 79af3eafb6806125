"""A further command in a running container (health checks), through the OCI runtime, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.base import Output
from kit import process

_MOST_OUTPUT = 1 << 20
_REAP = 1.0
"""Seconds the runtime's client gets to see that its command was killed."""


async def run_in(binary: str, state: Path, scratch: Path, id: str, shape: dict[str, Any], timeout: float) -> Output:
    """Run the OCI `process` of that shape in a container. Raises TimeoutError after killing it."""
    sheet, output = (os.memfd_create(name) for name in ("process", "output"))
    try:
        os.write(sheet, msgspec.json.encode(shape | {"terminal": False}))
        pid_file = scratch / f"{id}-exec-{sheet}"
        command = ("exec", "--process", f"/proc/self/fd/{sheet}", "--pid-file", str(pid_file), id)
        # Output goes to a file and not to a pipe, which a grandchild could hold open.
        child = await asyncio.create_subprocess_exec(
            binary,
            *("--root", str(state), *command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(sheet,),
        )
        try:
            async with asyncio.timeout(timeout):
                code = await child.wait()
        finally:
            if child.returncode is None:
                await _end(child, pid_file)
            pid_file.unlink(missing_ok=True)
        return Output(code, os.pread(output, _MOST_OUTPUT, 0))
    finally:
        os.close(sheet)
        os.close(output)


async def _end(child: asyncio.subprocess.Process, pid_file: Path) -> None:
    """Kill the command; the runtime's client then sees its end, reaps it and ends too."""
    if pid_file.exists() and (text := pid_file.read_text()).isdigit():
        process.send_signal(int(text), signal.SIGKILL)
        try:
            async with asyncio.timeout(_REAP):
                await child.wait()
        except TimeoutError:
            pass
    if child.returncode is None:
        child.kill()
        await child.wait()
