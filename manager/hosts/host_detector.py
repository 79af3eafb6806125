"""A manager's watch over hosts: it asks those that it does not hear from, and writes down which do not answer.

What counts as an answer is any packet from the host: a connection to its gRPC port that is taken, or refused because
argosyd is not there just now. So a host whose daemon restarts is not suspected, nor one that is busy: its kernel
answers. Only one that keeps silent for PROBE_TIMEOUT is, and nobody waits for a lease for that.

Asked are: nodes whose session here has broken off, or was not heard for SILENCE; the other managers' hosts, always;
and the nodes of which no living manager would hear (`questioned`).

The store cannot be written for one to three seconds when the host that died had etcd's leader. This manager's own hosts
do not wait for that: what cannot be written is told to them directly (`Unwritten`), until the store says it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from api.defaults import HEARTBEAT, LOST_AFTER, PROBE_PAUSE, PROBE_TIMEOUT, SESSION_LEASE, SILENCE
from api.errors import Unavailable
from api.objects.kinds import SUSPICIONS
from api.objects.observed import Suspicions
from api.states import NodeState
from kit.timing import backoff
from manager.hosts.suspicion import without_judge
from manager.store.interface import Lease, LeaseEnded, Store
from manager.store.state import State

TICK = 0.1
"""Seconds between two looks, at most."""
GATHER = 0.02
"""Seconds between two looks, at least: many hosts may answer at once."""
TRIES = 4
"""Packets sent within one question: some may be lost."""
WRITE_TIMEOUT = 0.4
"""Seconds until writing is tried anew: what etcd was asked while its leader died is never answered."""
SAID_AFTER = 4
"""Failures in a row after which they are logged: a busy disk alone may take longer than WRITE_TIMEOUT."""
UNWRITTEN = 0.2
"""Seconds after which what is not in the store is told to this manager's own hosts all the same."""
UNTIL_JUDGED = 2.0
"""Seconds for which that holds once it is written: the other managers have to write it, too."""
OURS = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EPERM}
"""Errors that say something of this host and nothing of the other."""

Probe = Callable[[str, int], Awaitable[bool | None]]
"""Whether the host at an address and port answers; None when that cannot be known."""
log = structlog.get_logger(__name__)


def questioned(state: State, me: str, heard: Mapping[str, float]) -> set[str]:
    """The nodes to be asked now. `heard`: seconds since each node with a session here was heard."""
    found = {id for id in state.members if id != me and id in state.nodes}
    found.update(without_judge(state, me))
    for node_id in list(found):
        session = state.sessions.get(node_id)
        if (session is None or session.left) and state.node_state(node_id) is not NodeState.READY:
            found.discard(node_id)  # it is down already, or was never there
    silent = {id for id, seconds in heard.items() if seconds >= SILENCE}
    return (found - heard.keys()) | (silent & state.nodes.keys())


@dataclass(slots=True)
class Notes:
    """What the questions brought: since when each node has not answered. Times are the event loop's."""

    silent: dict[str, float] = field(default_factory=dict)

    def take(self, node_id: str, answered: bool | None, now: float) -> None:
        """Take in the result of one question."""
        if answered:
            self.silent.pop(node_id, None)
        elif answered is False:
            self.silent.setdefault(node_id, now)

    def keep(self, node_ids: set[str]) -> None:
        """Forget all others: they are heard, or nobody asks about them any more."""
        self.silent = {id: since for id, since in self.silent.items() if id in node_ids}

    def row(self, now: float) -> Suspicions:
        """What is to be written."""
        lost = [id for id, since in self.silent.items() if now - since >= LOST_AFTER]
        return Suspicions(sorted(self.silent), sorted(lost))


@dataclass(slots=True)
class Unwritten:
    """What this manager sees and the store does not say yet, since when. Times are the event loop's."""

    since: float | None = None
    until: float = 0.0

    def take(
        self, seen: Suspicions, stored: Suspicions | None, managers: Collection[str], now: float
    ) -> frozenset[str]:
        """The hosts that this manager's own hosts are to avoid by its word alone.

        None when half of the managers are among them: then it is this manager that is cut off.
        """
        if seen == stored:
            self.since = None
        elif self.since is None:
            self.since = now
        if self.since is not None and now - self.since >= UNWRITTEN:
            self.until = now + UNTIL_JUDGED
        silent = frozenset(seen.suspected)
        if now >= self.until or 2 * len(silent.intersection(managers)) >= len(managers):
            return frozenset()
        return silent


class HostDetector:
    """One manager's."""

    def __init__(
        self,
        store: Store,
        node_id: str,
        heard: Callable[[], Mapping[str, float]],
        probe: Probe,
        avoid: Callable[[str], None] = lambda _: None,
        doubt: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        """`heard` gives the seconds since each node with a session here was heard; `avoid` is told the addresses of
        hosts that do not answer, so that nobody here waits for them; `doubt` the nodes that the hosts with a session
        here are to avoid although the store does not say so yet."""
        self._avoid, self._doubt = avoid, doubt
        self._unwritten, self._doubted = Unwritten(), frozenset[str]()
        self._store, self._node_id, self._heard, self._probe = store, node_id, heard, probe
        self._notes = Notes()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._wanted = Suspicions()
        self._changed = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> NoReturn:
        """Look, ask and write, for ever."""
        loop = asyncio.get_running_loop()
        self._notes = Notes()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell(), name="suspicions")
                while True:
                    self._news.clear()
                    self._look(loop.time())
                    await asyncio.sleep(GATHER)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(TICK - GATHER):
                            await self._news.wait()
        finally:
            for task in self._asking.values():
                task.cancel()
            self._asking.clear()

    def _look(self, now: float) -> None:
        targets = questioned(self._store.state, self._node_id, self._heard())
        self._notes.keep(targets)
        for node_id in self._asking.keys() - targets:
            self._asking.pop(node_id).cancel()
        for node_id in targets - self._asking.keys():
            self._asking[node_id] = asyncio.get_running_loop().create_task(self._ask(node_id), name="probe of a host")
        row = self._notes.row(now)
        if row != self._wanted:
            log.info("hosts that do not answer", suspected=row.suspected, lost=row.lost)
            self._wanted = row
            self._changed.set()
        state = self._store.state
        stored, managers = state.table(SUSPICIONS).get(self._node_id), state.members.keys()
        doubted = self._unwritten.take(row, stored, managers, now)
        if doubted != self._doubted:
            log.info("hosts avoided by this manager's word alone", nodes=sorted(doubted))
            self._doubted = doubted
            self._doubt(doubted)

    async def _ask(self, node_id: str) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            seen = self._store.state.descriptions.get(node_id)
            if seen is not None and seen.address:
                answered = await self._probe(seen.address, seen.host_port)
                if answered is False:
                    self._avoid(seen.address)
                self._notes.take(node_id, answered, loop.time())
                self._news.set()
            await asyncio.sleep(PROBE_PAUSE)

    async def _tell(self) -> NoReturn:
        """Keep this manager's row as it should be."""
        delays = _delays()
        lease: Lease | None = None
        failures = 0
        while True:
            self._changed.clear()
            try:
                # a lease is of use only with an answer, so etcd gets more time for one if it is slow
                async with asyncio.timeout(WRITE_TIMEOUT * (1 if lease else 2 + failures)):
                    lease = lease or await self._store.lease(SESSION_LEASE)
                    await self._write(lease)
            except (LeaseEnded, Unavailable, TimeoutError) as error:
                failures += 1
                if failures == SAID_AFTER:
                    log.info("what this manager sees of hosts cannot be written yet", reason=str(error) or "no answer")
                if isinstance(error, LeaseEnded):
                    lease = None
                await asyncio.sleep(next(delays))
                continue
            delays, failures = _delays(), 0
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._changed.wait()

    async def _write(self, lease: Lease) -> None:
        """Write the row if it is another one; else refresh the lease, which news do not wait for."""
        if self._store.state.table(SUSPICIONS).get(self._node_id) != self._wanted:
            await lease.put(SUSPICIONS, self._node_id, self._wanted)
            return
        refresh, changed = asyncio.ensure_future(lease.refresh()), asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((refresh, changed), return_when=asyncio.FIRST_COMPLETED)
            if refresh.done():
                refresh.result()
        finally:
            refresh.cancel()
            changed.cancel()
            await asyncio.gather(refresh, changed, return_exceptions=True)


def _delays() -> Iterator[float]:
    return backoff(random.Random(), first=0.05, most=0.2)


async def probe(address: str, port: int) -> bool | None:
    """Ask a host's kernel whether it is there: up to TRIES connections, the first answer counts. See `Probe`."""
    loop = asyncio.get_running_loop()
    answers = [loop.create_task(_connected(address, port, PROBE_TIMEOUT * n / TRIES)) for n in range(TRIES)]
    found: bool | None = False
    try:
        for done in asyncio.as_completed(answers):
            if (answer := await done) is not False:
                found = answer
                break
    finally:
        for task in answers:
            task.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
    return found


async def _connected(address: str, port: int, delay: float) -> bool | None:
    await asyncio.sleep(delay)
    try:
        where = ipaddress.ip_address(address)
        if getattr(where, "scope_id", None):
            return None  # it would be looked up
        family = socket.AF_INET6 if where.version == 6 else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except (OSError, ValueError):
        return None
    with connection:
        code = connection.connect_ex((str(where), port))
        if code == errno.EINPROGRESS:
            await _settled(connection, PROBE_TIMEOUT - delay)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code and not _has_peer(connection):
                return False  # asked of the kernel, so that a slow event loop does not make a host look silent
        return _meaning(code)


async def _settled(connection: socket.socket, seconds: float) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(connection, ready.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ready.wait()
    finally:
        loop.remove_writer(connection)


def _has_peer(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


def _meaning(code: int) -> bool | None:
    if code in OURS:
        return None
    return code in (0, errno.ECONNREFUSED, errno.ECONNRESET)
