"""Child processes, started with vfork and watched by pidfd."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_REAP = 2.0
"""Seconds to wait for a killed process to end."""


@dataclass(frozen=True, slots=True)
class Result:
    """The exit code (negative for a signal) and the output of a command."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.code == 0

    @property
    def complaint(self) -> str:
        """The end of its output, for an error message."""
        text = (self.stderr or self.stdout).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else f"exit code {self.code}"


def use_pidfds() -> None:
    """Make asyncio watch children by pidfd rather than by a thread each (call once, before the loop runs)."""
    asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())


async def run(
    *command: str,
    stdin: bytes | int | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    timeout: float | None = None,
) -> Result:
    """Run a command to its end and return its result. It is killed when the caller is cancelled or time is up.

    A process that survives the kill because it hangs in the kernel is left behind. `stdin`: bytes to write to it, or a
    file descriptor. Raises TimeoutError, and OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        pass_fds=pass_fds,
    )
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin if isinstance(stdin, bytes) else None)
    except BaseException:
        if process.returncode is None:
            process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REAP):
                    await process.wait()
        raise
    return Result(process.returncode or 0, out, err)


async def wait_pid(pid: int) -> None:
    """Wait until a process has ended; it need not be a child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def alive(pid: int) -> bool:
    """Whether a process with that pid is running; a zombie is not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def send_signal(pid: int, number: int = signal.SIGTERM) -> bool:
    """Send a signal. False when there is no such process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
