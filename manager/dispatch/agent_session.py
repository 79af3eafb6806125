"""One agent's session on a manager: its messages in, its assignments out, its lease kept while it is heard.

What it says is checked first (border.py); a message that does not pass ends the session with the reason.

Three loops per session. The reader handles one message at a time and waits until what it reports is stored, so an
agent that talks too much is slowed by the stream itself. The writer sends what is due, newest only, and does not wait
long for the store, which takes nothing for some seconds after the host died that had etcd's leader. The keeper opens
the lease and turns being heard into its refreshes, at most one per REFRESH. A stream that breaks leaves the lease to
run out: the agent has that long to come back, here or elsewhere, before its node is called down.
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
"""Seconds between two refreshes of a session's lease, at least."""
GREET_WITHIN = 0.15
"""Seconds after which an agent is told what there is although its lease is not open yet."""

MOVES = (2.0, 20.0)
"""Changes of one task's status per second, and at once."""
FLAP_PAUSE = 0.5
"""Seconds that a message waits which has more."""

log = structlog.get_logger(__name__)


class AgentStream(Protocol):
    """The served side of a bidirectional call (grpc.aio.ServicerContext)."""

    async def write(self, message: ManagerMessage) -> None:
        """Waits while the other side does not read."""
        ...


class AgentSession:
    """A node's session, from its first Hello to the end of the stream."""

    def __init__(
        self,
        node_id: str,
        manager_id: str,
        store: Store,
        writer: StatusWriter,
        view: HostAssignments,
        index: AssignmentIndex,
        welcome: Callable[[], SessionInfo],
        progress: Callable[[], None],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """`progress` is called when the host has come further with its networks."""
        self.node_id = node_id
        self._manager_id = manager_id
        self._store = store
        self._writer = writer
        self._view = view
        self._index = index
        self._number = 0
        self._sent: deque[tuple[int, int]] = deque()
        self._in_force = 0
        self._welcome = welcome
        self._progress = progress
        self._clock = clock
        self._due = asyncio.Event()
        self._heard = asyncio.Event()
        self._described = asyncio.Event()
        self._opened = asyncio.Event()
        self._accepted: int | None = None
        self._key = HeldKey(store, SESSION, node_id, lambda: NodeSession(manager_id, clock()), SESSION_LEASE, rng)
        self._leaving = False
        self._peer = ""
        self._warned = False
        self._moves = TokenBuckets(*MOVES)
        self.heard_at = asyncio.get_running_loop().time()
        """When the agent was last heard, by the event loop's clock."""
        self._overlaps: list[str] = []

    def wake(self) -> None:
        """Something may be due for the host."""
        self._due.set()

    @property
    def in_force(self) -> int:
        """The revision of the state by which the host directs its traffic, as far as is known; 0: nothing is."""
        if self._in_force and not self._sent and not self._view.pending:
            return self._index.covers
        return self._in_force

    async def run(self, stream: AgentStream, inbox: Inbox, hello: Hello, peer: str) -> None:
        """Until the agent closes the stream (returns) or it breaks (raises; Invalid or Conflict: by what it said).

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
            await self._say_that_it_left()

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, inbox: Inbox, hello: Hello) -> None:
        await self._describe(hello.description)
        self._described.set()
        while (message := await inbox.read()) is not None:
            self._heard.set()
            self.heard_at = asyncio.get_running_loop().time()
            if isinstance(message, Hello):
                border.admit(self._store.state, self.node_id, message.description, self._peer)
                await self._describe(message.description)
            elif isinstance(message, Goodbye):
                self._leaving = True
                return
            elif isinstance(message, Heartbeat):
                border.check_heartbeat(message, self._number)
                self._confirm(message.in_force)
            elif isinstance(message, Statuses):
                for portion in border.portions(message):
                    border.check_statuses(portion, self._clock())
                    await asyncio.sleep(0)  # all of a message may take 50 ms
                self._warn_of_foreign(message)
                await self._store_statuses(observed(self._store.state, self.node_id, message))
                self._accepted = message.number
                self._due.set()

    async def _store_statuses(self, puts: list[Put]) -> None:
        """Each may change what every host on the task's networks does: one that flaps is heard at a walking pace."""
        now = asyncio.get_running_loop().time()
        if [put.id for put in puts if not self._moves.take(put.id, now)]:
            await asyncio.sleep(FLAP_PAUSE)
        await self._writer.write(puts)

    def _warn_of_foreign(self, message: Statuses) -> None:
        """Say so, once, when it speaks of another node's tasks; nobody listens to that (`acceptable`)."""
        tasks = self._store.state.tasks
        foreign = [id for id in message.statuses if id in tasks and tasks[id].node_id != self.node_id]
        if foreign and not self._warned:
            self._warned = True
            log.warning("statuses of another node's tasks are ignored", node=self.node_id, first=foreign[0])

    def _confirm(self, number: int) -> None:
        """The host's networks are as those assignments, and all before them, want them."""
        while self._sent and self._sent[0][0] <= number:
            self._in_force = self._sent.popleft()[1]
            self._progress()

    async def _describe(self, description: NodeDescription) -> None:
        if self._store.state.descriptions.get(self.node_id) != description:
            await self._writer.write([Put(DESCRIPTION, self.node_id, description)])
            self._warn_of_overlaps(description)

    def _warn_of_overlaps(self, description: NodeDescription) -> None:
        """Say so when networks of the cluster have what the host uses itself; once, for as long as it stays so."""
        found = node_troubles(self._store.state, self.node_id, description)
        if found != self._overlaps:
            self._overlaps = found
            for sentence in found:
                log.warning("host and network overlap", node=self.node_id, reason=sentence)

    # ── the lease ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _say_that_it_left(self) -> None:
        """The node has left: it is down from now on, not in some seconds."""
        try:
            # told and not merely ended: a new leader would wait for an agent that is only gone
            await self._key.put(NodeSession(self._manager_id, self._clock(), left=True))
        except Unavailable as error:
            log.warning("the session of a node that left could not be ended", node=self.node_id, reason=str(error))

    async def _keep(self) -> None:
        await self._described.wait()  # who is READY has been described
        await self._key.open()
        self._opened.set()
        log.info("session opened", node=self.node_id)
        while True:
            await self._heard.wait()
            self._heard.clear()
            if not await self._key.refresh():
                self._heard.set()
            await asyncio.sleep(REFRESH)

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, stream: AgentStream) -> None:
        welcomed: SessionInfo | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(GREET_WITHIN):
                await self._opened.wait()
        while True:
            if (welcome := self._welcome()) != welcomed:
                await stream.write(welcome)
                welcomed = welcome
            if self._accepted is not None:
                accepted, self._accepted = self._accepted, None
                await stream.write(Accepted(accepted))
            # half a change could take the old endpoint away before the new one is there
            if (self._view.pending or not self._number) and not self._index.moving:
                await self._send(stream)
            await self._due.wait()
            self._due.clear()

    async def _send(self, stream: AgentStream) -> None:
        """Send what is pending; the first message is the full set."""
        put, remove = self._view.take()
        self._number += 1
        self._sent.append((self._number, self._index.covers))
        for message in assignment_pieces.messages(
            self._number, self._number == 1, put, [] if self._number == 1 else remove
        ):
            await stream.write(message)


def observed(state: State, node_id: str, message: Statuses) -> list[Put]:
    """What of an agent's statuses is to be stored: news, on tasks of that node, that is a legal move."""
    return [
        Put(STATUS, task_id, status)
        for task_id, status in message.statuses.items()
        if acceptable(state, node_id, task_id, status)
    ]


def acceptable(state: State, node_id: str, task_id: str, status: TaskStatus) -> bool:
    """Whether the node may say this of the task now."""
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
