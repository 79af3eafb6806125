"""argosyd's side of the stand-in (standin.py): starts it, keeps it told, and takes the sockets back from it.

Level-triggered: what the stand-in has not been told yet is looked up, never queued. It is started with the first
sandbox, but not before the names are known; if it dies another one is told everything. Nothing waits for it. One of
another version (after an upgrade) is ended when its successor has been told all.
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
from overlay.plan.dns_zone import Names

TIMEOUT = 5.0
"""Seconds that a stand-in may take, on a busy machine."""
PAUSE = 0.5
"""Seconds until a stand-in that cannot be had is tried again."""
Frame = tuple[bytes, list[int]]

log = structlog.get_logger(__name__)


class Relief:
    """The stand-in of one host. `path` is where it listens."""

    def __init__(self, path: Path, resolv_conf: Path = Path("/etc/resolv.conf")) -> None:
        self._path = path
        self._resolv_conf = resolv_conf
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._rooms: dict[str, tuple[dict[str, Any], DnsSockets]] = {}
        self._names: Mapping[str, Names] = {}
        self._known = False
        """Whether the names are: a stand-in without them would forward what is ours to answer."""
        self._memory = memory()
        weakref.finalize(self, os.close, self._memory)
        self.pending = PendingQuestions(self._memory)
        self._told_memory = False
        self._told_rooms: set[str] = set()
        self._told_names: dict[str, Names] = {}
        self._passive = self._told_passive = False
        self._former: socket.socket | None = None
        """To a stand-in of another version."""
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def take_over(self) -> dict[str, DnsSockets]:
        """The sockets that a stand-in serves, if there is one; it goes on until `relieve`."""
        return await asyncio.get_running_loop().run_in_executor(None, self._take_over)

    def start(self) -> None:
        """Keep the stand-in told, from when all sandboxes that were taken over are known here."""
        if self._control is not None:
            self._watch(self._control)
        self._tasks = [asyncio.get_running_loop().create_task(self._run(), name="stand-in for names")]
        self._news.set()

    def relieve(self) -> None:
        """The names are known here: argosyd serves itself."""
        if not self._passive:
            self._passive = True
            self._news.set()

    async def end(self) -> None:
        """No sandbox is left, and none will come: no stand-in is needed."""
        await stop(self._tasks)
        if self._control is None:
            for sockets in (await self.take_over()).values():
                sockets.close()
        for control in (self._control, self._former):
            if control is not None:
                with suppress(OSError):
                    control.sendall(frame({"end": True}))
        self.hang_up()
        self._path.unlink(missing_ok=True)

    def hang_up(self) -> None:
        """argosyd ends: from now on the stand-in serves."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._hang_up()
        self._rooms.clear()
        self._names, self._known, self._passive = {}, False, False

    def serve(
        self, sandbox: Sandbox, own: Mapping[str, str], internal: bool, sockets: DnsSockets, namespace: str = ""
    ) -> None:
        """A sandbox is to be served while argosyd is away, as long as its namespace is mounted at that path."""
        self._rooms[sandbox.id] = (sandbox_facts(sandbox, own, internal, namespace), sockets)
        self._news.set()

    def drop(self, id: str) -> None:
        """A sandbox is gone."""
        if self._rooms.pop(id, None) is not None:
            self._news.set()

    def know(self, names: Mapping[str, Names]) -> None:
        """What names mean from now on, by network."""
        self._names, self._known = names, True
        self._news.set()

    # ── keeping it told ──────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._news.wait()
            self._news.clear()
            if self._control is None and not (self._rooms and self._known):
                continue
            try:
                if self._control is None:
                    self._control = await self._begin()
                frames, done = self._due()
                try:
                    await loop.run_in_executor(None, _send, self._control, frames)
                finally:
                    for _, fds in frames:
                        for fd in fds:
                            os.close(fd)
                done()
            except OSError as error:
                log.warning("no stand-in for names while argosyd is away", error=str(error))
                self._hang_up()
                await asyncio.sleep(PAUSE)
                self._news.set()

    def _due(self) -> tuple[list[Frame], Any]:
        """What the stand-in has not been told, and what to call when it has."""
        names, rooms = dict(self._names), set(self._rooms)
        changed = {id: names_facts(one) for id, one in names.items() if self._told_names.get(id) is not one}
        gone = dict.fromkeys(self._told_names.keys() - names.keys())
        frames: list[Frame] = [] if self._told_memory else [(frame({"memory": True}), [os.dup(self._memory)])]
        frames += [(frame({"drop": id}), []) for id in sorted(self._told_rooms - rooms)]
        frames += [(frame({"names": {id: told}}), []) for id, told in {**changed, **gone}.items()]
        for id in sorted(rooms - self._told_rooms):
            facts, sockets = self._rooms[id]
            # copies: the sandbox may be closed before they are sent
            fds = [os.dup(sockets.udp.fileno()), os.dup(sockets.tcp.fileno())]
            frames.append((frame({"room": id, "facts": facts}), fds))

        passive = self._passive
        if passive and (not self._told_passive or not frames):  # that it is there has to be said all the time
            frames.append((frame({"passive": True}), []))

        def done() -> None:
            self._told_names, self._told_rooms, self._told_passive = names, rooms, passive
            self._told_memory = True
            if self._former is not None:  # its successor knows all
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
        self._forget_told()
        self._watch(control)
        return control

    def _watch(self, control: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(control, self._heard)

    def _heard(self) -> None:
        """It says nothing after its greeting but that it is gone."""
        control = self._control
        try:
            if control is not None and not control.recv(4096, socket.MSG_DONTWAIT):
                self._hang_up()
                self._news.set()
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
            self._news.set()

    def _hang_up(self) -> None:
        control, self._control = self._control, None
        self._forget_told()
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()

    def _forget_told(self) -> None:
        self._told_rooms, self._told_names = set(), {}
        self._told_passive = self._told_memory = False

    # ── taking over ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take_over(self) -> dict[str, DnsSockets]:
        """Connect to the stand-in of a former argosyd and take its sockets; none when there is none. In a thread."""
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
            self._control, self._told_rooms = control, set(held)
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
