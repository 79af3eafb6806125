"""Host failure detector: probes hosts that a manager gets no messages from, and stores which do not answer.

Any packet from the host counts as an answer: a TCP connection to its gRPC port that is accepted, or refused because
argosyd is not running. So a host that is busy, or that restarts its daemon, is not suspected, because its kernel
answers. A host is suspected after PROBE_TIMEOUT without an answer, without waiting for a lease.

Probed are: nodes with a session on this manager that broke, or was silent for SILENCE; always the hosts of the other
managers; and the nodes for which no living manager has a session (`nodes_to_probe`).

The store accepts no writes for one to three seconds when etcd's leader was on the host that died. The hosts with a
session on this manager do not wait for that: they are informed directly (`UnstoredSuspicions`) until the store has it.
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
"""Most seconds between two checks."""
GATHER = 0.02
"""Least seconds between two checks, because many hosts may answer at the same time."""
TRIES = 4
"""Connection attempts within one probe, because packets may be lost."""
WRITE_TIMEOUT = 0.4
"""Seconds until a write is repeated: etcd never answers requests that it got while its leader died."""
SAID_AFTER = 4
"""Consecutive failures until they are logged: a busy disk alone may take longer than WRITE_TIMEOUT."""
UNWRITTEN = 0.2
"""Seconds until this manager's own hosts are informed of suspicions that could not be stored."""
UNTIL_JUDGED = 2.0
"""Seconds for which that stays valid after the write: the other managers have to write theirs, too."""
OURS = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EPERM}
"""Errors that are caused by this host and say nothing about the other."""

Probe = Callable[[str, int], Awaitable[bool | None]]
"""Returns whether the host at an address and port answers; None when that is unknown."""
log = structlog.get_logger(__name__)


def nodes_to_probe(state: State, me: str, silent_for: Mapping[str, float]) -> set[str]:
    """The nodes to probe now. `silent_for`: by node with a session on this manager, seconds since its last message."""
    found = {id for id in state.members if id != me and id in state.nodes}
    found.update(without_judge(state, me))
    for node_id in list(found):
        session = state.sessions.get(node_id)
        if (session is None or session.left) and state.node_state(node_id) is not NodeState.READY:
            found.discard(node_id)  # it is already down, or was never up
    silent = {id for id, seconds in silent_for.items() if seconds >= SILENCE}
    return (found - silent_for.keys()) | (silent & state.nodes.keys())


@dataclass(slots=True)
class ProbeResults:
    """The results of the probes: since when each node has not answered, by the event loop's clock."""

    silent: dict[str, float] = field(default_factory=dict)

    def take(self, node_id: str, answered: bool | None, now: float) -> None:
        """Apply the result of one probe."""
        if answered:
            self.silent.pop(node_id, None)
        elif answered is False:
            self.silent.setdefault(node_id, now)

    def keep(self, node_ids: set[str]) -> None:
        """Forget all other nodes, which are not probed any more."""
        self.silent = {id: since for id, since in self.silent.items() if id in node_ids}

    def row(self, now: float) -> Suspicions:
        """The suspicions to store."""
        lost = [id for id, since in self.silent.items() if now - since >= LOST_AFTER]
        return Suspicions(sorted(self.silent), sorted(lost))


@dataclass(slots=True)
class UnstoredSuspicions:
    """Suspicions of this manager that the store does not have yet. Times are of the event loop's clock."""

    since: float | None = None
    until: float = 0.0

    def take(
        self, seen: Suspicions, stored: Suspicions | None, managers: Collection[str], now: float
    ) -> frozenset[str]:
        """The hosts that this manager's own hosts must avoid before the store says so.

        Empty when half of the managers are among them: then this manager itself is cut off.
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
    """The failure detector of one manager."""

    def __init__(
        self,
        store: Store,
        node_id: str,
        silent_for: Callable[[], Mapping[str, float]],
        probe: Probe,
        avoid: Callable[[str], None] = lambda _: None,
        doubt: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        """`silent_for` returns, by node with a session on this manager, the seconds since its last message. `avoid` is
        called with the address of each host that does not answer, so that nothing here waits for it. `doubt` is called
        with the nodes that hosts with a session on this manager must avoid before the store says so."""
        self._avoid, self._doubt = avoid, doubt
        self._unwritten, self._doubted = UnstoredSuspicions(), frozenset[str]()
        self._store, self._node_id, self._silent_for, self._probe = store, node_id, silent_for, probe
        self._results = ProbeResults()
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._wanted = Suspicions()
        self._changed = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> NoReturn:
        """Check, probe and write; never returns."""
        loop = asyncio.get_running_loop()
        self._results = ProbeResults()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._store_suspicions(), name="suspicions")
                while True:
                    self._news.clear()
                    self._check(loop.time())
                    await asyncio.sleep(GATHER)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(TICK - GATHER):
                            await self._news.wait()
        finally:
            for task in self._probing.values():
                task.cancel()
            self._probing.clear()

    def _check(self, now: float) -> None:
        targets = nodes_to_probe(self._store.state, self._node_id, self._silent_for())
        self._results.keep(targets)
        for node_id in self._probing.keys() - targets:
            self._probing.pop(node_id).cancel()
        for node_id in targets - self._probing.keys():
            self._probing[node_id] = asyncio.get_running_loop().create_task(
                self._probe_host(node_id), name="probe of a host"
            )
        row = self._results.row(now)
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

    async def _probe_host(self, node_id: str) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            seen = self._store.state.descriptions.get(node_id)
            if seen is not None and seen.address:
                answered = await self._probe(seen.address, seen.host_port)
                if answered is False:
                    self._avoid(seen.address)
                self._results.take(node_id, answered, loop.time())
                self._news.set()
            await asyncio.sleep(PROBE_PAUSE)

    async def _store_suspicions(self) -> NoReturn:
        """Keep this manager's suspicions in the store up to date."""
        delays = _delays()
        lease: Lease | None = None
        failures = 0
        while True:
            self._changed.clear()
            try:
                # a lease without an answer is lost, so a slow etcd gets more time for it
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
        """Write the suspicions if they have changed, else refresh the lease; a change interrupts the refresh."""
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
    """Ask a host's kernel for a sign of life: up to TRIES connections, the first answer counts. See `Probe`."""
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
            return None  # a scope id would be resolved, which may block
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
                return False  # ask the kernel: with a slow event loop, an answer may have arrived unnoticed
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
