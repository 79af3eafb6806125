"""Execs of users (`docker exec`): created, started with streams or a terminal, and listed.

The OCI runtime runs them in the foreground, so its exit code is the command's. When the client disconnects, a command
without a terminal runs on and its output is dropped; one with a terminal gets a hangup.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.execs.exec_terminal import Console, OwnConsole, SentConsole, set_size
from agent.runtime.interface import RuntimeFailure
from api.errors import Conflict, NotFound
from api.service.host_config import Hook

MOST_IDLE = 256
"""Execs kept that do not run: those that ended, for whoever inspects them, and those created and never started."""
_CHUNK = 32 * 1024
_WORDS = 512
_REST = 1.0
"""Seconds to read output after the command's end: processes it left running may hold its streams open for ever."""
NOT_FOUND, NOT_RUNNABLE = 127, 126
"""Exit codes of commands that cannot be run, as in a shell."""
_FIRST_LOOK = 0.01
"""Seconds until the first read of the pid file; each further wait is twice as long."""


@dataclass(frozen=True, slots=True)
class ExecConfig:
    """The command to run, with its streams and terminal."""

    hook: Hook
    tty: bool = False
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    rows: int = 0
    columns: int = 0
    detach_keys: str = ""


class Exec:
    """One command in one container."""

    def __init__(self, container: str, wish: ExecConfig) -> None:
        self.id = secrets.token_hex(32)
        self.container = container
        self.wish = wish
        self.started = False
        self.code: int | None = None
        """The exit code, once the command has ended."""
        self.pid = 0
        self._size = (wish.rows, wish.columns)
        self._terminal: int | None = None
        self._input: asyncio.StreamWriter | None = None
        self._output: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(16)
        self._deaf = False
        self._last = b""
        self.ended = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the command was started and has not ended."""
        return self.started and self.code is None

    @property
    def refusal(self) -> int:
        """The exit code of a command that the runtime could not run, by the runtime's message."""
        return NOT_RUNNABLE if b"ermission denied" in self._last else NOT_FOUND

    def event(self, action: str) -> str:
        """The action's name in events: with the command, except for exec_die."""
        return action if action == "exec_die" else f"{action}: {' '.join(self.wish.hook.command)}"

    def attributes(self) -> dict[str, str]:
        """The exec's attributes in events, besides its container's."""
        return {"execID": self.id} | ({"exitCode": str(self.code)} if self.code is not None else {})

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's window size. Raises Conflict without a terminal."""
        if not self.wish.tty:
            raise Conflict(f"exec {self.id[:12]} has no terminal")
        self._size = (rows, columns)
        if self._terminal is not None:
            with suppress(OSError):
                set_size(self._terminal, rows, columns)

    async def write(self, data: bytes) -> None:
        """Write to the standard input; no effect if the command does not read any more."""
        if self._input is not None:
            with suppress(ConnectionError, OSError):
                self._input.write(data)
                await self._input.drain()

    def close_input(self) -> None:
        """Close the standard input; a terminal stays open."""
        if self._input is not None and not self.wish.tty:
            self._input.close()
            self._input = None

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """(stream, bytes) until the command has ended and all output is read."""
        while (item := await self._output.get()) is not None:
            yield item

    def hang_up(self) -> None:
        """Handle the client's disconnection: drop output, end input, close the terminal."""
        self._deaf = True
        while not self._output.empty():
            self._output.get_nowait()
        if self._input is not None:
            self._input.close()
            self._input = None
        if self.wish.tty:
            self._close_terminal()

    # ── for Execs ──

    async def attach(
        self, reading: dict[str, int], writing: int | None, terminal: int | None
    ) -> list[asyncio.Task[None]]:
        """Take the parent's ends of the streams; returns the tasks that read them."""
        self._terminal = terminal
        if terminal is not None:
            set_size(terminal, *self._size)
        if writing is not None:
            self._input = await _writer(writing)
        loop = asyncio.get_running_loop()
        return [loop.create_task(self._read(name, fd), name=f"exec {name}") for name, fd in reading.items()]

    async def finish(self, code: int) -> None:
        """Set the exit code; nothing more is read."""
        self.code = code
        if self._input is not None:
            self._input.close()
            self._input = None
        self._close_terminal()
        self.ended.set()
        if not self._deaf:
            await self._output.put(None)

    async def put(self, stream: str, data: bytes) -> None:
        """Queue output for the client."""
        if not self._deaf:
            await self._output.put((stream, data))

    async def _read(self, name: str, fd: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
        )
        try:
            while data := await reader.read(_CHUNK):
                self._last = data[-_WORDS:]
                await self.put(name, data)
        except OSError:
            pass  # EIO: a terminal with its slave side closed
        finally:
            transport.close()

    def _close_terminal(self) -> None:
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


class Execs:
    """All execs of users on this host. `state` and `scratch` are directories of the runtime."""

    def __init__(self, binary: str, state: Path, scratch: Path, shape: Callable[[str, Hook], dict[str, Any]]) -> None:
        """`shape` returns the OCI `process` of an exec in a container; it raises NotFound, Conflict, RuntimeFailure."""
        self._binary = binary
        self._is_crun = os.path.basename(binary) == "crun"
        self._state = state
        self._scratch = scratch
        self._shape = shape
        self._known: dict[str, Exec] = {}
        self._works: set[asyncio.Task[None]] = set()
        self.on_event: Callable[[Exec, str], None] = lambda *_: None
        """Called with an exec and exec_create, exec_start or exec_die; set by the runtime."""

    def create(self, container: str, wish: ExecConfig) -> Exec:
        """Create an exec without starting it. Raises NotFound, and Conflict when the container does not run."""
        self._shape(container, wish.hook)
        made = Exec(container, wish)
        self._known[made.id] = made
        self._forget()
        self.on_event(made, "exec_create")
        return made

    def get(self, id: str) -> Exec:
        """The exec with an id. Raises NotFound."""
        if id not in self._known:
            raise NotFound(f"No such exec instance: {id}")
        return self._known[id]

    def of(self, container: str) -> list[str]:
        """Ids of the execs that run in a container."""
        return [one.id for one in self._known.values() if one.container == container and one.running]

    async def start(self, id: str, *, detach: bool = False) -> Exec:
        """Start an exec. Detached, its streams are /dev/null. Raises NotFound, Conflict, RuntimeFailure."""
        exec = self.get(id)
        if exec.started:
            raise Conflict(f"exec {id[:12]} has been started already")
        shape = _with_terminal(self._shape(exec.container, exec.wish.hook), exec.wish)
        exec.started = True
        if detach:
            exec.hang_up()
        try:
            await self._start(exec, shape, detach)
        except BaseException:
            exec.code = NOT_RUNNABLE
            raise
        self.on_event(exec, "exec_start")
        return exec

    async def _start(self, exec: Exec, shape: dict[str, Any], detach: bool) -> None:
        sheet = os.memfd_create("process", os.MFD_CLOEXEC)
        pid_file = self._scratch / f"{exec.id[:32]}.pid"
        command = [self._binary, "--root", str(self._state), "exec", "--process", f"/proc/self/fd/{sheet}"]
        command += ["--pid-file", str(pid_file), exec.container]
        try:
            os.write(sheet, msgspec.json.encode(shape))
            begin = self._on_terminal if exec.wish.tty else self._on_pipes
            runtime, readers = await begin(exec, command, sheet, detach)
        except OSError as error:
            raise RuntimeFailure(f"cannot run a command in container {exec.container[:12]}: {error}") from error
        finally:
            os.close(sheet)
        work = asyncio.get_running_loop().create_task(self._watch(exec, runtime, readers, pid_file), name="exec")
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _on_pipes(
        self, exec: Exec, command: list[str], sheet: int, detach: bool
    ) -> tuple[asyncio.subprocess.Process, list[asyncio.Task[None]]]:
        wish, theirs, reading, writing = exec.wish, {}, {}, None
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for name, wanted in (("stdout", wish.stdout), ("stderr", wish.stderr)):
                if wanted and not detach:
                    reading[name], theirs[name] = os.pipe2(os.O_CLOEXEC)
            if wish.stdin and not detach:
                theirs["stdin"], writing = os.pipe2(os.O_CLOEXEC)
            runtime = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.get("stdin", nowhere),
                stdout=theirs.get("stdout", nowhere),
                stderr=theirs.get("stderr", nowhere),
                pass_fds=(sheet,),
            )
        finally:
            for fd in (nowhere, *theirs.values()):
                os.close(fd)
        return runtime, await exec.attach(reading, writing, None)

    async def _on_terminal(
        self, exec: Exec, command: list[str], sheet: int, detach: bool
    ) -> tuple[asyncio.subprocess.Process, list[asyncio.Task[None]]]:
        console: Console
        if self._is_crun:
            console = SentConsole(self._scratch / f"{exec.id[:16]}.tty")
        else:
            console = OwnConsole(exec.wish.rows or 24, exec.wish.columns or 80)
        words, complaint = os.pipe2(os.O_CLOEXEC)
        try:
            stdio = console.stdio
            runtime = await asyncio.create_subprocess_exec(
                *console.arguments(command),
                stdin=asyncio.subprocess.DEVNULL if stdio is None else stdio,
                stdout=complaint if stdio is None else stdio,
                stderr=complaint if stdio is None else stdio,
                pass_fds=(sheet,),
            )
        except OSError:
            console.close()
            os.close(words)
            raise
        finally:
            os.close(complaint)
        master = await console.master(runtime)
        if master is None:
            return runtime, await exec.attach({"stdout": words}, None, None)
        os.close(words)
        for_input = os.dup(master) if exec.wish.stdin and not detach else None
        return runtime, await exec.attach({"stdout": os.dup(master)}, for_input, master)

    async def _watch(
        self, exec: Exec, runtime: asyncio.subprocess.Process, readers: list[asyncio.Task[None]], pid_file: Path
    ) -> None:
        end = asyncio.ensure_future(runtime.wait())
        pause = _FIRST_LOOK
        while not end.done() and not exec.pid:
            await asyncio.wait([end], timeout=pause)
            exec.pid, pause = _pid(pid_file), min(pause * 2, 1.0)
        code = await end
        ran = bool(exec.pid or _pid(pid_file))
        pid_file.unlink(missing_ok=True)
        if readers:
            _, late = await asyncio.wait(readers, timeout=None if not ran else _REST)
            for reader in late:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        await exec.finish(code if ran else exec.refusal)
        self.on_event(exec, "exec_die")

    def _forget(self) -> None:
        idle = [one.id for one in self._known.values() if not one.running]
        for id in idle[:-MOST_IDLE]:
            del self._known[id]


def _with_terminal(shape: dict[str, Any], wish: ExecConfig) -> dict[str, Any]:
    if not wish.tty:
        return {**shape, "terminal": False}
    env = shape["env"] if any(item.startswith("TERM=") for item in shape["env"]) else [*shape["env"], "TERM=xterm"]
    size = {"consoleSize": {"height": wish.rows, "width": wish.columns}} if wish.rows > 0 else {}
    return {**shape, "terminal": True, "env": env, **size}


def _pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
