"""Dispatcher: the manager's side of the agents' sessions (`argosy.Dispatcher`).

Admits agents, watches the state, passes what changed to the assignment index (manager/assignments/assignment_index.py)
about every 10 ms, and wakes the sessions. Invariant: a node has at most one session; a second replaces the first, and
removing the node ends it.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import grpc
import structlog

from api.defaults import HEARTBEAT
from api.errors import ArgosyError, Conflict, Invalid
from api.objects.kinds import DESCRIPTION
from api.wire import rpc
from api.wire.host_messages import ExportCheck, ExportVerdict
from api.wire.session_messages import Hello, SessionInfo
from kit.timing import Clock
from kit.token_buckets import TokenBuckets
from manager.assignments.assignment_index import AssignmentIndex
from manager.assignments.image_sources import may_fetch
from manager.dispatch.agent_session import AgentSession
from manager.dispatch.applied_revisions import AppliedRevisions
from manager.dispatch.inbox import Inbox
from manager.dispatch.status_writer import StatusWriter
from manager.security import border, rights
from manager.security.rights import KNOWN_WITHIN, Rights
from manager.store.interface import Store
from manager.store.naming import api_addresses, living_managers, manager_addresses
from manager.store.state import State

GATHER = 0.01
"""Seconds in which changes are gathered into one assignment message."""
MOST_GATHER = 0.2
"""The same in seconds at most, when handling the changes itself takes long."""
HELLO_WITHIN = 10.0
"""Seconds in which a caller must send its Hello."""
OPENINGS = (1.0, 20.0)
"""Sessions that a node may open: per second, and in a burst. Each is expensive: the whole assignment set is sent."""
REFUSAL_PAUSE = 1.0
"""Seconds until a node that opens too many sessions gets its refusal."""
REFUSAL_AGAIN = 60.0
"""Seconds until a repeated refusal of a node for the same reason is logged again."""

log = structlog.get_logger(__name__)


class Dispatcher:
    """All sessions on one manager."""

    def __init__(self, store: Store, node_id: str, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._node_id = node_id
        self._clock = clock
        self._rng = rng
        self._rights = Rights(store)
        self._index = AssignmentIndex(store.state)
        self._writer = StatusWriter(store, rng)
        self._applied_revisions = AppliedRevisions(store, node_id, self._applied, rng)
        self._sessions: dict[str, tuple[AgentSession, asyncio.Task[None]]] = {}
        self._complete = asyncio.Event()
        self._doubts: frozenset[str] = frozenset()
        self._doubted = asyncio.Event()
        self._openings = TokenBuckets(*OPENINGS)
        self._refusals: dict[str, tuple[str, float]] = {}
        self._displaced: dict[str, str] = {}

    @property
    def connected(self) -> frozenset[str]:
        """Ids of the nodes with a session on this manager."""
        return frozenset(self._sessions)

    def silent_for(self) -> dict[str, float]:
        """By node with a session on this manager: seconds since its last message."""
        now = asyncio.get_running_loop().time()
        return {node_id: now - session.last_message_at for node_id, (session, _task) in self._sessions.items()}

    def doubt(self, node_ids: frozenset[str]) -> None:
        """Make the hosts with a session on this manager avoid these nodes, before the store says they are suspected."""
        self._doubts = node_ids
        self._doubted.set()

    async def run(self) -> None:
        """Follow the state; never returns. When cancelled, all sessions on this manager end, but not their leases."""
        dirty, loop = self._store.track(), asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._writer.run())
                group.create_task(self._applied_revisions.run())
                while True:
                    revision = self._store.state.revision
                    began = loop.time()
                    changed = dirty.take()
                    self._doubted.clear()
                    changed.nodes |= self._index.doubt(self._doubts)
                    for _ in self._index.update(changed):
                        await asyncio.sleep(0)
                    self._index.covers = revision
                    took = loop.time() - began
                    self._complete.set()
                    self._drop_removed()
                    self._drop_displaced(changed.nodes)
                    for session, _task in self._sessions.values():
                        session.wake()
                    self._applied_revisions.check()
                    await self._wait_newer(revision)
                    # at least as long as the work took, so that under load more changes are handled together
                    await asyncio.sleep(max(GATHER, min(took, MOST_GATHER)))
        finally:
            self._store.untrack(dirty)
            for _session, task in list(self._sessions.values()):
                task.cancel()

    async def _wait_newer(self, revision: int) -> None:
        """Wait until the state is newer than `revision`, or the doubted nodes have changed."""
        newer = asyncio.ensure_future(self._store.wait_newer(revision))
        doubted = asyncio.ensure_future(self._doubted.wait())
        try:
            await asyncio.wait((newer, doubted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            newer.cancel()
            doubted.cancel()

    async def session(self, requests: Any, context: Any) -> None:
        """`Dispatcher.Session`: serves one agent until its stream ends."""
        try:
            caller = rpc.caller(context)
        except ArgosyError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        node_id = caller.node_id
        await self._rights.known(node_id)
        if node_id not in self._store.state.nodes:
            code = grpc.StatusCode.PERMISSION_DENIED if self._is_removed(node_id) else grpc.StatusCode.UNAVAILABLE
            await context.abort(code, f"node {node_id} is not part of this cluster")
        try:
            rights.member(self._store.state, caller)
        except ArgosyError as error:  # not PERMISSION_DENIED, on which the real node would leave the cluster
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        # a full set without what is not indexed yet would remove networks from running containers
        await self._complete.wait()
        try:
            await self._serve(node_id, context)
        except (Invalid, Conflict) as error:
            self._note_refusal(node_id, str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def may_export(self, request: ExportCheck, context: Any) -> ExportVerdict:
        """`Dispatcher.MayExport`: whether a host may give an image to another host.

        Waits up to KNOWN_WITHIN, because the other host may have got its task a moment ago.
        """
        state, store = self._store.state, self._store
        try:
            rights.member(state, rpc.caller(context))
        except ArgosyError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                while why := may_fetch(state, request.node_id, request.reference):
                    await store.wait_newer(state.revision)
                    await asyncio.sleep(MOST_GATHER)  # check once for many changes
        except TimeoutError:
            return ExportVerdict(False, why)
        return ExportVerdict(True)

    async def _greet(self, node_id: str, inbox: Inbox, peer: str) -> Hello:
        """Read and admit the Hello. Raises Invalid or Conflict."""
        if not self._openings.take(node_id, asyncio.get_running_loop().time()):
            await asyncio.sleep(REFUSAL_PAUSE)  # a flood of calls waits in its own connection
            raise Conflict("this node opens sessions too often; it may try again in a second")
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                hello = await inbox.read()
        except TimeoutError:
            hello = None
        if not isinstance(hello, Hello):
            raise Invalid("a session begins with a Hello")
        border.admit(self._store.state, node_id, hello.description, peer)
        return hello

    async def _serve(self, node_id: str, context: Any) -> None:
        inbox, peer = Inbox(context), border.peer_address(context.peer())
        hello = await self._greet(node_id, inbox, peer)
        if (former := self._sessions.pop(node_id, None)) is not None:
            former[1].cancel()
        host = self._index.add(node_id)
        info = partial(session_info, self._store.state, node_id)
        session = AgentSession(
            node_id,
            self._node_id,
            self._store,
            self._writer,
            host,
            self._index,
            info,
            self._applied_revisions.check,
            self._clock,
            self._rng,
        )
        task = asyncio.ensure_future(session.run(context, inbox, hello, peer))
        self._sessions[node_id] = (session, task)
        reason = "the manager ended the session: it stops, or the node has opened another or was removed"
        try:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
                return
        finally:
            if self._sessions.get(node_id) == (session, task):
                del self._sessions[node_id]
                self._index.remove(node_id)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if displaced := self._displaced.pop(node_id, ""):
            raise Conflict(displaced)
        removed = self._is_removed(node_id)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED if removed else grpc.StatusCode.UNAVAILABLE, reason)

    def _applied(self) -> dict[str, int]:
        return {node_id: session.applied for node_id, (session, _task) in self._sessions.items()}

    def _is_removed(self, node_id: str) -> bool:
        """Whether the node is not part of the cluster. False while the store has no cluster (lost, or not read yet),
        because a node that is told so removes its containers."""
        return self._store.state.cluster is not None and node_id not in self._store.state.nodes

    def _drop_removed(self) -> None:
        for node_id, (_session, task) in list(self._sessions.items()):
            if node_id not in self._store.state.nodes:
                task.cancel()

    def _drop_displaced(self, changed: set[str]) -> None:
        """End the sessions of nodes whose address was later announced by another node: the later description counts.

        Both may have announced it at the same moment on two managers, or the other may have shown that it owns it.
        """
        state = self._store.state
        held: dict[str, list[str]] = {}
        for node_id in self._sessions if changed else ():
            if (mine := state.descriptions.get(node_id)) is not None:
                held.setdefault(mine.address, []).append(node_id)
        for other in changed:
            theirs, session = state.descriptions.get(other), state.sessions.get(other)
            if theirs is None or session is None or session.left or other not in state.nodes:
                continue
            if border.is_loopback(theirs.address):
                continue
            for node_id in held.get(theirs.address, ()):
                if state.version(DESCRIPTION, node_id) < state.version(DESCRIPTION, other) and node_id != other:
                    self._displaced[node_id] = f"node {other} has come up at the address {theirs.address}"
                    self._sessions[node_id][1].cancel()

    def _note_refusal(self, node_id: str, reason: str) -> None:
        """Log the refusal, but not each time the agent tries again."""
        now = asyncio.get_running_loop().time()
        last, at = self._refusals.get(node_id, ("", 0.0))
        if reason != last or now - at >= REFUSAL_AGAIN:
            self._refusals[node_id] = (reason, now)
            log.warning("a host's session was refused", node=node_id, reason=reason)


def session_info(state: State, node_id: str) -> SessionInfo:
    """What an agent must know about the cluster and its own node."""
    node = state.nodes.get(node_id)
    period = state.cluster.heartbeat if state.cluster else HEARTBEAT
    return SessionInfo(
        period=min(period, HEARTBEAT),
        managers=manager_addresses(state),
        apis=api_addresses(state),
        role=node.spec.role if node else None,
        ids={state.members[id].host_address: id for id in living_managers(state)},
    )
