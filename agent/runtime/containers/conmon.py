"""One conmon per container: it makes the container, holds its output, and writes down how it ended.

Files in the container's directory: `log`, `ctl` (fifo: reopen the log), `pid`, `conmon.pid`, `oom` (when the kernel
killed for memory), and `exits/<id>` with the exit code.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.runtime.interface import RuntimeFailure

_REOPEN_LOG = b"2 0 0\n"
_MOST_WORDS = 16 * 1024
PATIENCE = 120.0
"""Seconds the OCI runtime may take to make a container: what it mounts may hang."""


@dataclass(frozen=True, slots=True)
class Monitored:
    """A container that was made, and its monitor."""

    pid: int
    conmon: int


class _Report(msgspec.Struct):
    """The line conmon writes to the sync pipe."""

    pid: int = -1
    message: str = ""


async def create(
    id: str, directory: Path, sockets: Path, runtime: Sequence[str], *, tty: bool, stdin: bool, log_size: int
) -> Monitored:
    """Start conmon, which makes the container of the bundle in `directory`. `runtime` is the binary and its options,
    `log_size` the bytes that the log file never exceeds; 0 is for no log.

    Raises RuntimeFailure with the runtime's own words.
    """
    exits = directory / "exits"
    exits.mkdir(exist_ok=True)
    log = f"k8s-file:{directory / 'log'}" if log_size else "none"
    command = [
        *("conmon", "-c", id, "-u", id, "-n", id[:12], "-b", str(directory), "-r", runtime[0]),
        *("-p", str(directory / "pid"), "-P", str(directory / "conmon.pid"), "-l", log),
        *("--exit-dir", str(exits), "-0", str(directory), "--socket-dir-path", str(sockets), "--no-sync-log"),
        *(f"--runtime-arg={option}" for option in runtime[1:]),
        *(["--log-size-max", str(log_size)] if log_size else []),
        *(["-t"] if tty else []),
        *(["-i"] if stdin else []),
    ]
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(writer, True)
    words = os.memfd_create("conmon", os.MFD_CLOEXEC)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                env={"PATH": os.environ.get("PATH", os.defpath), "_OCI_SYNCPIPE": str(writer)},
                pass_fds=(writer,),
                cwd=directory,  # where conmon, too, leaves a note of an OOM
            )
        finally:
            os.close(writer)
        try:
            async with asyncio.timeout(PATIENCE):
                line = await _read_line(reader)
                await process.wait()
        except TimeoutError:
            _kill(process.pid, directory)
            raise RuntimeFailure(f"{Path(runtime[0]).name} did not make the container within {PATIENCE:g} s") from None
        report = msgspec.json.decode(line, type=_Report) if line else _Report()
        if report.pid <= 0:
            raise RuntimeFailure(_sentence(report.message or os.pread(words, _MOST_WORDS, 0).decode(errors="replace")))
        return Monitored(report.pid, int((directory / "conmon.pid").read_text()))
    finally:
        os.close(reader)
        os.close(words)


def _kill(pid: int, directory: Path) -> None:
    """End a conmon that hangs, and the runtime that it waits for (its process group, once it has one of its own)."""
    pids = {pid}
    with suppress(OSError, ValueError):
        pids.add(int((directory / "conmon.pid").read_text()))
    for one in pids:
        with suppress(ProcessLookupError):
            if os.getpgid(one) == one:
                os.killpg(one, signal.SIGKILL)
            else:
                os.kill(one, signal.SIGKILL)


def open_gate(gate: Path) -> bool:
    """Start a crun container by what `crun start` does at heart; False when that is not to be done this way.

    The container's init waits at this fifo. Saves a process start, 4 ms.
    """
    try:
        fd = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(fd, b"\0")
    finally:
        os.close(fd)
    gate.unlink(missing_ok=True)
    return True


def exit_code(id: str, directory: Path) -> tuple[int, float] | None:
    """The code and the time of the container's end; None while it has not ended."""
    path = directory / "exits" / id
    try:
        return int(path.read_text()), path.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return None


def was_out_of_memory(directory: Path) -> bool:
    """Whether the kernel killed in it for memory."""
    return (directory / "oom").exists()


def reopen_log(directory: Path) -> None:
    """Let conmon write to a new file under the log's name. Nothing happens when it is gone."""
    try:
        fd = os.open(directory / "ctl", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(fd, _REOPEN_LOG)
    finally:
        os.close(fd)


async def _read_line(fd: int) -> bytes:
    """What is written to a pipe up to the first newline or its end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    data = bytearray()

    def read() -> None:
        chunk = os.read(fd, 65536)
        data.extend(chunk)
        if (not chunk or b"\n" in chunk) and not done.done():
            done.set_result(bytes(data))

    loop.add_reader(fd, read)
    try:
        return await done
    finally:
        loop.remove_reader(fd)


def _sentence(words: str) -> str:
    """The last line that says something, without the runtime's log decoration."""
    lines = [line.strip() for line in words.strip().splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "msg=" in line or "error" in line), lines[-1] if lines else "")
    if 'msg="' in last:
        last = last.split('msg="', 1)[1].rsplit('"', 1)[0].replace('\\"', '"')
    return last or "conmon could not make the container and did not say why"
