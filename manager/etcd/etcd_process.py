"""etcd process: this manager's own etcd, started, supervised, restarted after a crash, and stopped with argosyd.

etcd survives when argosyd is killed; the next start takes it over if it runs with the same arguments, else replaces it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import shutil
import signal
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import structlog

from api.errors import ArgosyError, Conflict, Invalid, Unavailable
from api.wire.rpc import Credentials
from kit import cgroups
from kit.background import Background
from kit.files import replace_file
from kit.process import run, send_signal, wait_pid
from kit.supervisor import guard
from kit.timing import backoff
from manager.etcd.command_line import EtcdSettings, check_version, command, parse_version
from manager.etcd.connection_ending import end_connections
from manager.etcd.etcd_client import EtcdConnection
from manager.etcd.etcd_members import EtcdMembers
from manager.security.revocation import revocation_list, serials_in

log = structlog.get_logger(__name__)
STOP_TIMEOUT = 10.0
"""Seconds from SIGTERM to SIGKILL."""
START_TIMEOUT = 60.0
"""Seconds until a member that does not get ready is reported; a large database takes time to load."""
LOG_SIZE = 4 << 20
"""Most bytes of each of the two log files, the current and the previous one."""
CALM = 60.0
"""Seconds a member must have run until its next crash counts as the first one."""


class EtcdProcess:
    """One etcd process. `credentials` must be those of a manager, for the address in `settings`."""

    def __init__(self, settings: EtcdSettings, credentials: Credentials) -> None:
        self.settings, self._credentials = settings, credentials
        self._background = Background()
        self._pid = 0
        self._command: list[str] = []

    @property
    def exists(self) -> bool:
        """Whether there is a database already, so that `start` is a restart."""
        return (self.settings.data / "member").exists()

    @property
    def pid(self) -> int:
        """Process id of the running etcd; 0 while there is none."""
        return self._pid

    async def start(self, others: str = "") -> None:
        """Start etcd and wait until it answers requests. `others`: MemberAnswer.initial_cluster to join, "" for a new
        cluster; ignored when the database exists.

        Raises Invalid (binary missing or unsafe, bad settings) or Unavailable (not ready in time; it continues to run).
        """
        version = await _version(self.settings.binary)
        check_version(version)
        self._write_credentials()
        self._command = command(self.settings, version, None if self.exists else others)
        await self._settle_leftover()
        self._background.start(guard(self._supervise(), "etcd member"), "etcd member")
        await self._until_ready()

    async def stop(self, *, hurry: bool = False) -> None:
        """Stop etcd and wait until it has ended. `hurry`: kill it, without handing over its leadership."""
        await self._background.stop()
        if self._pid:
            await (_kill if hurry else _terminate)(self._pid)
            self._gone()
            cgroups.remove(self._group)

    def renew(self, credentials: Credentials) -> None:
        """Use a new certificate; etcd reads it at the next connection. A new CA needs a restart of etcd."""
        self._credentials = credentials
        self._write_credentials()

    def revoke(self, serials: Iterable[int]) -> bool:
        """Refuse connections with these certificates; all others are accepted (again).

        Returns whether some of them were not revoked before.
        """
        wanted, present = frozenset(serials), _revoked(self.settings.revoked)
        if present != wanted:
            _write(self.settings.revoked, revocation_list(wanted))
        return bool(wanted - (present or frozenset()))

    async def end_connections(self, spared: Iterable[str], former: Iterable[str]) -> None:
        """End the connections to etcd, because it checks certificates only when a client connects.

        Connections from this host and from spared IP addresses stay, unless a former manager has the address too. Where
        the kernel cannot end connections, etcd is restarted.
        """
        own = {self.settings.address, self.settings.listen_address, "127.0.0.1"} - {""}
        ports = (self.settings.client_port, self.settings.peer_port)
        if not await end_connections(ports, (own | set(spared)) - set(former)) and self._pid:
            log.warning("connections of a former manager cannot be ended one by one: etcd is started again")
            await _terminate(self._pid)

    def wipe(self) -> None:
        """Delete the database of a stopped member that has left the cluster."""
        if self._pid:
            raise Conflict("etcd is still running on the database that should be deleted")
        shutil.rmtree(self.settings.data, ignore_errors=True)

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _supervise(self) -> None:
        loop, delays = asyncio.get_running_loop(), backoff(random.Random(), first=0.2, most=10.0)
        while True:
            started = loop.time()
            try:
                await self._run_once()
            except OSError as error:
                log.error("etcd cannot be started", reason=str(error))
            if loop.time() - started > CALM:
                delays = backoff(random.Random(), first=0.2, most=10.0)
            await asyncio.sleep(next(delays))

    async def _run_once(self) -> None:
        """Start etcd, or take over the running one, and wait until it ends."""
        if self._pid:
            await self._stay(wait_pid(self._pid))
        else:
            with self.settings.log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                    env=_environment(self.settings.memory), start_new_session=True,
                )  # fmt: skip
            self._set_apart(process.pid)
            self._pid = process.pid
            self.settings.pid_file.write_text(f"{process.pid}\n")
            await self._stay(process.wait())
        self._gone()
        log.error("etcd has ended and is started again", reason=_last_line(self.settings.log))

    def _set_apart(self, pid: int) -> None:
        """Move etcd to its own control group with its own memory limit, since it may outlive argosyd."""
        try:
            cgroups.add_process(pid, self._group, self.settings.memory)
        except OSError as error:
            log.warning("etcd's memory is not bounded", reason=str(error))

    @property
    def _group(self) -> str:
        return f"argosy/etcd-{self.settings.node_id[:12]}"

    async def _stay(self, end: Coroutine[Any, Any, Any]) -> None:
        """Wait until the process ends; meanwhile limit the size of its log."""
        ended = asyncio.ensure_future(end)
        try:
            while not ended.done():
                _bound(self.settings.log)
                await asyncio.wait((ended,), timeout=10.0)
        finally:
            ended.cancel()

    async def _settle_leftover(self) -> None:
        """Take over an etcd that an earlier argosyd has left running, or end it."""
        self._pid = 0
        pid, arguments = _leftover(self.settings)
        if not pid:
            return
        if arguments[1:] == self._command[1:]:
            log.info("taking over the running etcd", pid=pid)
            self._pid = pid
        else:
            log.info("replacing a running etcd that has other arguments", pid=pid)
            await _terminate(pid)

    def _gone(self) -> None:
        self._pid = 0
        self.settings.pid_file.unlink(missing_ok=True)

    # ── readiness ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _until_ready(self) -> None:
        connection = EtcdConnection([self.settings.endpoint], self._credentials)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while True:
                    if await self._ready(EtcdMembers(connection)):
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            reason = _last_line(self.settings.log)
            raise Unavailable(f"etcd does not get ready; its log {self.settings.log} ends with: {reason}") from None
        finally:
            await connection.close()

    async def _ready(self, members: EtcdMembers) -> bool:
        try:
            status = await members.status()
            if status.leader and not status.learner:
                await self._correct_address(members, status.member_id)
        except ArgosyError:
            return False
        return bool(status.leader)

    async def _correct_address(self, members: EtcdMembers, member_id: int) -> None:
        """Update this member's peer URL when the host's address has changed; etcd stores the old one."""
        for member in await members.list():
            if member.id == member_id and member.peer_urls != (self.settings.peer_url,):
                log.info("the address of this manager's etcd has changed", url=self.settings.peer_url)
                await members.move(member_id, self.settings.peer_url)

    def _write_credentials(self) -> None:
        self.settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(self.settings.directory / "node.key", self._credentials.key)
        _write(self.settings.directory / "node.crt", self._credentials.certificate)
        _write(self.settings.directory / "ca.crt", self._credentials.ca)
        if _revoked(self.settings.revoked) is None:  # without a readable list, etcd refuses all connections
            _write(self.settings.revoked, revocation_list(()))


async def _version(binary: str) -> tuple[int, int, int]:
    try:
        result = await run(binary, "--version", timeout=10)
    except FileNotFoundError:
        raise Invalid(
            f"etcd is not installed ({binary} not found): install etcd-server, or use --etcd-endpoints"
        ) from None
    return parse_version(result.stdout.decode(errors="replace"))


def _leftover(settings: EtcdSettings) -> tuple[int, list[str]]:
    """Pid and arguments of an etcd running on our data; 0 when there is none. Detects a reused pid."""
    try:
        pid = int(settings.pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
        program = os.readlink(f"/proc/{pid}/exe")
    except (OSError, ValueError):
        return 0, []
    ours = "etcd" in Path(program).name and f"--data-dir={settings.data}" in arguments
    return (pid, arguments) if ours else (0, [])


async def _kill(pid: int) -> None:
    send_signal(pid, signal.SIGKILL)
    await wait_pid(pid)


async def _terminate(pid: int) -> None:
    send_signal(pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await wait_pid(pid)
    except TimeoutError:
        send_signal(pid, signal.SIGKILL)
        await wait_pid(pid)


def _environment(memory: int) -> dict[str, str]:
    """Our environment without ETCD_… variables, which would override the command line, plus a memory limit for Go."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
    if memory:
        environment["GOMEMLIMIT"] = str(memory * 9 // 10)  # Go ≥ 1.19: collect garbage before the limit is reached
    if platform.machine() == "aarch64":
        environment["ETCD_UNSUPPORTED_ARCH"] = "arm64"  # etcd 3.4 refuses to start there without it
    return environment


def _revoked(path: Path) -> frozenset[int] | None:
    """The serial numbers in the revocation list; None when there is no readable list."""
    try:
        return serials_in(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Replace a file if its content differs; readable only by root."""
    if path.exists() and path.read_bytes() == data:
        return
    replace_file(path, data)


def _bound(path: Path) -> None:
    """Move the content of a large log to `.log.1`; etcd continues to append to the emptied file."""
    if path.exists() and path.stat().st_size > LOG_SIZE:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
