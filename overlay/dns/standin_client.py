"""argosyd's side of the stand-in (standin.py): starts it, keeps it up to date, and takes the sockets back from it.

Level-triggered: what the stand-in does not have yet is computed each time, never queued. It is started with the first
sandbox, but not before the names are known; if it ends, a new one gets everything. Nothing waits for it. A stand-in of
another version (after an upgrade) is ended when its successor has everything.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from kit.supervisor import stop
from overlay.dns import standin
from overlay.dns.pending_questions import PendingQuestions, memory
from overlay.dns.standin_messages import BACKLOG, BEAT, VERSION, Frames, frame, names_facts, sandbox_facts
from overlay.interface import Sandbox
from overlay.kernel.namespaces import DnsSockets
from overlay.plan.dns_zone import NetworkNames

TIMEOUT = 5.0
"""Seconds for a stand-in to answer, on a busy machine."""
PAUSE = 0.5
"""Seconds before a retry when a stand-in cannot be started."""
Frame = tuple[bytes, list[int]]

log = structlog.get_logger(__name__)


class StandInClient:
    """The stand-in of one host. `path` is its listening socket."""

    def __init__(self, path: Path, resolv_conf: Path = Path("/etc/resolv.conf")) -> None:
        self._path = path
        self._resolv_conf = resolv_conf
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._sandboxes: dict[str, tuple[dict[str, Any], DnsSockets]] = {}
        self._names: Mapping[str, NetworkNames] = {}
        self._has_names = False
        """Whether `_names` are known: a stand-in without them would forward questions about the cluster's names."""
        self._memory = memory()
        weakref.finalize(self, os.close, self._memory)
        self.pending = PendingQuestions(self._memory)
        self._sent_memory = False
        self._sent_sandboxes: set[str] = set()
        self._sent_names: dict[str, NetworkNames] = {}
        self._passive = self._sent_passive = False
        self._former: socket.socket | None = None
        """The connection to a stand-in of another version."""
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def take_over(self) -> dict[str, DnsSockets]:
        """The sockets of a running stand-in, by sandbox; it goes on serving until `resume_serving`."""
        return await asyncio.get_running_loop().run_in_executor(None, self._take_over)

    def start(self) -> None:
        """Keep the stand-in up to date. To be called when all sandboxes that were taken over are known here."""
        if self._control is not None:
            self._watch(self._control)
        self._tasks = [asyncio.get_running_loop().create_task(self._run(), name="stand-in for names")]
        self._changed.set()

    def resume_serving(self) -> None:
        """argosyd has the names and serves the sockets itself."""
        if not self._passive:
            self._passive = True
            self._changed.set()

    async def end(self) -> None:
        """End the stand-in: no sandbox is left, and none will come."""
        await stop(self._tasks)
        if self._control is None:
            for sockets in (await self.take_over()).values():
                sockets.close()
        for control in (self._control, self._former):
            if control is not None:
                with suppress(OSError):
                    control.sendall(frame({"end": True}))
        self.disconnect()
        self._path.unlink(missing_ok=True)

    def disconnect(self) -> None:
        """Close the connection: argosyd ends, and the stand-in serves."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._disconnect()
        self._sandboxes.clear()
        self._names, self._has_names, self._passive = {}, False, False

    def serve(
        self, sandbox: Sandbox, own: Mapping[str, str], internal: bool, sockets: DnsSockets, namespace: str = ""
    ) -> None:
        """Let the stand-in serve a sandbox while argosyd is away, as long as its namespace is mounted."""
        self._sandboxes[sandbox.id] = (sandbox_facts(sandbox, own, internal, namespace), sockets)
        self._changed.set()

    def drop(self, id: str) -> None:
        """A sandbox was removed."""
        if self._sandboxes.pop(id, None) is not None:
            self._changed.set()

    def use_names(self, names: Mapping[str, NetworkNames]) -> None:
        """Use these names from now on, by network."""
        self._names, self._has_names = names, True
        self._changed.set()

    # ── keeping it up to date ────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._changed.wait()
            self._changed.clear()
            if self._control is None and not (self._sandboxes and self._has_names):
                continue
            try:
                if self._control is None:
                    self._control = await self._begin()
                frames, done = self._unsent()
                try:
                    await loop.run_in_executor(None, _send, self._control, frames)
                finally:
                    for _, fds in frames:
                        for fd in fds:
                            os.close(fd)
                done()
            except OSError as error:
                log.warning("no stand-in for names while argosyd is away", error=str(error))
                self._disconnect()
                await asyncio.sleep(PAUSE)
                self._changed.set()

    def _unsent(self) -> tuple[list[Frame], Any]:
        """The messages that the stand-in does not have yet, and a function to call when they were sent."""
        names, rooms = dict(self._names), set(self._sandboxes)
        changed = {id: names_facts(one) for id, one in names.items() if self._sent_names.get(id) is not one}
        gone = dict.fromkeys(self._sent_names.keys() - names.keys())
        frames: list[Frame] = [] if self._sent_memory else [(frame({"memory": True}), [os.dup(self._memory)])]
        frames += [(frame({"drop": id}), []) for id in sorted(self._sent_sandboxes - rooms)]
        frames += [(frame({"names": {id: told}}), []) for id, told in {**changed, **gone}.items()]
        for id in sorted(rooms - self._sent_sandboxes):
            facts, sockets = self._sandboxes[id]
            # copies: the sandbox may be closed before they are sent
            fds = [os.dup(sockets.udp.fileno()), os.dup(sockets.tcp.fileno())]
            frames.append((frame({"room": id, "facts": facts}), fds))

        passive = self._passive
        if passive and (not self._sent_passive or not frames):  # `passive` is repeated as a sign of life
            frames.append((frame({"passive": True}), []))

        def done() -> None:
            self._sent_names, self._sent_sandboxes, self._sent_passive = names, rooms, passive
            self._sent_memory = True
            if self._former is not None:  # its successor has everything
                with self._former, suppress(OSError):
                    self._former.sendall(frame({"end": True}))
                self._former = None

        return frames, done

    async def _begin(self) -> socket.socket:
        """Start a stand-in and connect to it. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(BACKLOG)
            command = [sys.executable, "-I", "-S", str(Path(standin.__file__).resolve()), str(listener.fileno())]
            command += [str(self._path.stat().st_ino), str(self._resolv_conf)]
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(listener.fileno(),), start_new_session=True,
            )  # fmt: skip
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.settimeout(TIMEOUT)
        control.connect(str(self._path))
        self._forget_sent()
        self._watch(control)
        return control

    def _watch(self, control: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(control, self._read_end)

    def _read_end(self) -> None:
        """After its greeting the stand-in sends nothing; the end of the stream means that it has ended."""
        control = self._control
        try:
            if control is not None and not control.recv(4096, socket.MSG_DONTWAIT):
                self._disconnect()
                self._changed.set()
        except BlockingIOError:
            pass
        except OSError:
            self._disconnect()
            self._changed.set()

    def _disconnect(self) -> None:
        control, self._control = self._control, None
        self._forget_sent()
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()

    def _forget_sent(self) -> None:
        self._sent_sandboxes, self._sent_names = set(), {}
        self._sent_passive = self._sent_memory = False

    # ── taking over ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take_over(self) -> dict[str, DnsSockets]:
        """Connect to a former argosyd's stand-in and take its sockets; empty when there is none. Blocking."""
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.settimeout(TIMEOUT)
        try:
            control.connect(str(self._path))
        except OSError:
            control.close()
            return {}
        held: dict[str, DnsSockets] = {}
        try:
            version = _handed_over(Frames(control), held)
        except (OSError, ValueError, IndexError) as error:
            log.warning("the stand-in for names does not hand over; it is ended", error=str(error))
            _kill(control)
            control.close()
            return held
        log.info("a stand-in has answered names", sandboxes=len(held), version=version)
        if version == VERSION:
            self._control, self._sent_sandboxes = control, set(held)
        else:
            self._former = control
        return held


def _handed_over(frames: Frames, held: dict[str, DnsSockets]) -> str:
    """Read until all sockets have come; returns the stand-in's version. Raises OSError."""
    version = ""
    while True:
        messages = frames.read()
        if messages is None:
            raise OSError("it hung up")
        for message in messages:
            if "room" in message:
                held[message["room"]] = DnsSockets(*frames.take_sockets())
            elif "done" in message:
                return version
            version = message.get("version", version)


def _kill(control: socket.socket) -> None:
    credentials = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    with suppress(OSError):
        if b"standin" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def _send(control: socket.socket, frames: list[Frame]) -> None:
    for data, fds in frames:
        if not fds:
            control.sendall(data)
            continue
        sent = socket.send_fds(control, [data], fds)
        control.sendall(data[sent:])
