"""Agent session: receives the messages of one agent, sends it its assignments, refreshes its lease.

Every message is checked first (manager/security/border.py); one that fails ends the session with the reason.

A session has three loops. The reader handles one message at a time and waits until the reported statuses are stored, so
that the stream itself slows an agent that sends too much. The writer sends what is due, only the newest values, and
does not wait long for the store, which accepts no writes for some seconds after the host of etcd's leader has died. The
keeper opens the lease and refreshes it when a message has arrived, at most once per REFRESH. When the stream breaks,
the lease is left to expire: the agent has that long to reconnect, to any manager, before its node is marked as down.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog

from api.defaults import SESSION_LEASE
from api.errors import Unavailable
from api.objects.kinds import DESCRIPTION, SESSION, STATUS
from api.objects.observed import NodeDescription, NodeSession, TaskStatus
from api.states import TaskState, is_legal
from api.wire.session_messages import Accepted, Goodbye, Heartbeat, Hello, ManagerMessage, SessionInfo, Statuses
from kit.timing import Clock
from kit.token_buckets import TokenBuckets
from manager.assignments.assignment_index import AssignmentIndex, HostAssignments
from manager.dispatch import assignment_pieces
from manager.dispatch.inbox import Inbox
from manager.dispatch.status_writer import StatusWriter
from manager.hosts.occupied_prefixes import node_troubles
from manager.security import border
from manager.store.held_key import HeldKey
from manager.store.interface import Put, Store
from manager.store.state import State

REFRESH = SESSION_LEASE / 6
"""Least time between two refreshes of a session's lease, in seconds."""
GREET_WITHIN = 0.15
"""Seconds until the first assignments are sent even if the lease is not open yet."""

MOVES = (2.0, 20.0)
"""Changes of one task's status: per second, and in a burst."""
FLAP_PAUSE = 0.5
"""Seconds that a message with more changes is delayed."""

log = structlog.get_logger(__name__)


class AgentStream(Protocol):
    """The served side of a bidirectional call (grpc.aio.ServicerContext)."""

    async def write(self, message: ManagerMessage) -> None:
        """Send a message; waits while the other side does not read."""
        ...


class AgentSession:
    """A node's session, from its first Hello to the end of the stream."""

    def __init__(
        self,
        node_id: str,
        manager_id: str,
        store: Store,
        writer: StatusWriter,
        host: HostAssignments,
        index: AssignmentIndex,
        session_info: Callable[[], SessionInfo],
        progress: Callable[[], None],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """`progress` is called when the host has applied newer network state."""
        self.node_id = node_id
        self._manager_id = manager_id
        self._store = store
        self._writer = writer
        self._host = host
        self._index = index
        self._number = 0
        self._sent: deque[tuple[int, int]] = deque()
        self._applied = 0
        self._session_info = session_info
        self._progress = progress
        self._clock = clock
        self._due = asyncio.Event()
        self._message_arrived = asyncio.Event()
        self._described = asyncio.Event()
        self._opened = asyncio.Event()
        self._accepted: int | None = None
        self._key = HeldKey(store, SESSION, node_id, lambda: NodeSession(manager_id, clock()), SESSION_LEASE, rng)
        self._leaving = False
        self._peer = ""
        self._warned = False
        self._moves = TokenBuckets(*MOVES)
        self.last_message_at = asyncio.get_running_loop().time()
        """When the last message of the agent arrived, by the event loop's clock."""
        self._overlaps: list[str] = []

    def wake(self) -> None:
        """Check whether something is due for the host."""
        self._due.set()

    @property
    def applied(self) -> int:
        """The revision of the state that the host's networks have applied, as far as is known; 0 for none."""
        if self._applied and not self._sent and not self._host.pending:
            return self._index.covers
        return self._applied

    async def run(self, stream: AgentStream, inbox: Inbox, hello: Hello, peer: str) -> None:
        """Serve the agent until it closes the stream. Raises Invalid or Conflict for a message that is refused, and
        whatever the stream raises when it breaks.

        `hello` has been admitted; `peer` is the address that the agent's connection comes from.
        """
        self._peer = peer
        reader = asyncio.ensure_future(self._read(inbox, hello))
        others = [asyncio.ensure_future(self._write(stream)), asyncio.ensure_future(self._keep())]
        try:
            await asyncio.wait([reader, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in (reader, *others):
                if task.done():
                    task.result()
        finally:
            for task in (reader, *others):
                task.cancel()
            await asyncio.gather(reader, *others, return_exceptions=True)
            log.info("session closed", node=self.node_id)
        if self._leaving:
            await self._store_departure()

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, inbox: Inbox, hello: Hello) -> None:
        await self._describe(hello.description)
        self._described.set()
        while (message := await inbox.read()) is not None:
            self._message_arrived.set()
            self.last_message_at = asyncio.get_running_loop().time()
            if isinstance(message, Hello):
                border.admit(self._store.state, self.node_id, message.description, self._peer)
                await self._describe(message.description)
            elif isinstance(message, Goodbye):
                self._leaving = True
                return
            elif isinstance(message, Heartbeat):
                border.check_heartbeat(message, self._number)
                self._note_applied(message.in_force)
            elif isinstance(message, Statuses):
                for portion in border.portions(message):
                    border.check_statuses(portion, self._clock())
                    await asyncio.sleep(0)  # all of a message may take 50 ms
                self._warn_of_foreign(message)
                await self._store_statuses(observed(self._store.state, self.node_id, message))
                self._accepted = message.number
                self._due.set()

    async def _store_statuses(self, puts: list[Put]) -> None:
        """Store statuses; a task that changes too often is slowed down, as each change may affect many hosts."""
        now = asyncio.get_running_loop().time()
        if [put.id for put in puts if not self._moves.take(put.id, now)]:
            await asyncio.sleep(FLAP_PAUSE)
        await self._writer.write(puts)

    def _warn_of_foreign(self, message: Statuses) -> None:
        """Log once that the agent reports another node's tasks; such statuses are ignored (`acceptable`)."""
        tasks = self._store.state.tasks
        foreign = [id for id in message.statuses if id in tasks and tasks[id].node_id != self.node_id]
        if foreign and not self._warned:
            self._warned = True
            log.warning("statuses of another node's tasks are ignored", node=self.node_id, first=foreign[0])

    def _note_applied(self, number: int) -> None:
        """The host's networks have applied the assignments up to this number."""
        while self._sent and self._sent[0][0] <= number:
            self._applied = self._sent.popleft()[1]
            self._progress()

    async def _describe(self, description: NodeDescription) -> None:
        if self._store.state.descriptions.get(self.node_id) != description:
            await self._writer.write([Put(DESCRIPTION, self.node_id, description)])
            self._warn_of_overlaps(description)

    def _warn_of_overlaps(self, description: NodeDescription) -> None:
        """Log overlaps between networks of the cluster and the host's own prefixes, when they have changed."""
        found = node_troubles(self._store.state, self.node_id, description)
        if found != self._overlaps:
            self._overlaps = found
            for sentence in found:
                log.warning("host and network overlap", node=self.node_id, reason=sentence)

    # ── the lease ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _store_departure(self) -> None:
        """Store that the node has left, so that it is down at once and not after its lease has expired."""
        try:
            # written, not just ended: a new leader would wait for an agent whose key has vanished
            await self._key.put(NodeSession(self._manager_id, self._clock(), left=True))
        except Unavailable as error:
            log.warning("the session of a node that left could not be ended", node=self.node_id, reason=str(error))

    async def _keep(self) -> None:
        await self._described.wait()  # a READY node always has a description
        await self._key.open()
        self._opened.set()
        log.info("session opened", node=self.node_id)
        while True:
            await self._message_arrived.wait()
            self._message_arrived.clear()
            if not await self._key.refresh():
                self._message_arrived.set()
            await asyncio.sleep(REFRESH)

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, stream: AgentStream) -> None:
        sent: SessionInfo | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(GREET_WITHIN):
                await self._opened.wait()
        while True:
            if (info := self._session_info()) != sent:
                await stream.write(info)
                sent = info
            if self._accepted is not None:
                accepted, self._accepted = self._accepted, None
                await stream.write(Accepted(accepted))
            # half a change could remove the old endpoint before the new one is added
            if (self._host.pending or not self._number) and not self._index.moving:
                await self._send(stream)
            await self._due.wait()
            self._due.clear()

    async def _send(self, stream: AgentStream) -> None:
        """Send what is pending; the first message is the full set."""
        put, remove = self._host.take()
        self._number += 1
        self._sent.append((self._number, self._index.covers))
        for message in assignment_pieces.messages(
            self._number, self._number == 1, put, [] if self._number == 1 else remove
        ):
            await stream.write(message)


def observed(state: State, node_id: str, message: Statuses) -> list[Put]:
    """The statuses to store: changes of tasks of that node that are legal moves."""
    return [
        Put(STATUS, task_id, status)
        for task_id, status in message.statuses.items()
        if acceptable(state, node_id, task_id, status)
    ]


def acceptable(state: State, node_id: str, task_id: str, status: TaskStatus) -> bool:
    """Whether the node may report this status of the task now."""
    task, old = state.tasks.get(task_id), state.statuses.get(task_id)
    if task is None or task.node_id != node_id:
        return False
    if task.state is not TaskState.ASSIGNED or status.state <= TaskState.ASSIGNED:
        return False
    if status.state in (TaskState.REMOVE, TaskState.ORPHANED):
        return False
    if old and msgspec.structs.replace(status, timestamp=old.timestamp) == old:
        return False  # nothing but the time has changed
    return is_legal(old.state if old else task.state, status.state)
