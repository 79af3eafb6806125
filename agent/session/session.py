"""The session with a manager: sends Hello, heartbeats and statuses, receives assignments.

Losing a session does not affect tasks. The next one, with another manager, begins with the whole assignment set and
all statuses. Protocol: api/wire/session_messages.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from agent.session.interface import Connection, Connector, HelloRefused, SessionLost
from agent.session.known_managers import KnownManagers
from agent.session.status_reporter import StatusReporter
from api.objects.observed import NodeDescription
from api.wire.session_messages import Accepted, Assignments, Goodbye, Heartbeat, Hello, Part, SessionInfo
from kit.mailbox import Mailbox
from kit.supervisor import run_cancellable
from kit.timing import backoff

log = structlog.get_logger(__name__)

WELCOME_TIMEOUT = 5.0
"""Seconds within which a manager must answer the first Hello."""
DESCRIPTION_PAUSE = 0.5
"""Seconds between two descriptions; managers read at most two per second."""
FAREWELL_TIMEOUT = 2.0
"""Seconds within which a manager must end the session after a Goodbye."""


class ManagerSession:
    """One agent's sessions with the managers, one after another."""

    def __init__(
        self,
        connector: Connector,
        managers: KnownManagers,
        reporter: StatusReporter,
        apply: Callable[[Assignments], None],
        routed: Callable[[], Awaitable[None]],
        description: NodeDescription,
        rng: random.Random,
    ) -> None:
        """`apply` applies assignments; `routed` returns when the host's traffic follows all those applied so far."""
        self._connector = connector
        self._managers = managers
        self._reporter = reporter
        self._apply = apply
        self._routed = routed
        self._applied = 0
        self._received: Mailbox[int] = Mailbox()
        self._description = description
        self._descriptions: Mailbox[NodeDescription] = Mailbox()
        self._rng = rng
        self._period = 0.0
        self._number = 0
        self._pending_parts: list[Part | Assignments] = []
        self._connection: Connection | None = None
        self._ended = asyncio.Event()
        self._hurry = asyncio.Event()
        self.connected = asyncio.Event()
        """Set while there is a session."""

    def describe(self, description: NodeDescription) -> None:
        """Set the node's description, and send a new Hello if it has changed."""
        if description != self._description:
            self._description = description
            self._descriptions.put(description)

    def hurry(self) -> None:
        """Try the next manager without waiting: new addresses are known."""
        self._hurry.set()

    async def farewell(self) -> None:
        """Send a Goodbye, if there is a session. Returns when the session has ended, or after FAREWELL_TIMEOUT."""
        if self._connection is None:
            return
        self._ended.clear()
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT):
                await self._connection.send(Goodbye())
                await self._ended.wait()
        except (TimeoutError, SessionLost) as error:
            log.warning("no manager took note that this node leaves", why=str(error) or "no answer in time")

    async def run(self) -> NoReturn:
        """Run one session after another, with growing delays after failures."""
        delays = backoff(self._rng)
        while True:
            address, refused = self._managers.next(), False
            try:
                if not address:
                    raise SessionLost("no manager is known")
                await run_cancellable(self._run_session(address))
            except* SessionLost as lost:
                refused = lost.subgroup(HelloRefused) is not None
                log.warning("no session", manager=address, why=str(lost.exceptions[0]))
            if self.connected.is_set():
                self.connected.clear()
                delays = delays if refused else backoff(self._rng)
            with suppress(TimeoutError):
                async with asyncio.timeout(next(delays)):
                    await self._hurry.wait()
            self._hurry.clear()

    async def _run_session(self, address: str) -> None:
        async with self._connector.connect(address, self._managers.node_id(address)) as connection:
            await self._greet(connection, address)
            self._connection = connection
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._beat(connection), name="heartbeat")
                    group.create_task(self._send_descriptions(connection), name="description")
                    group.create_task(self._reporter.deliver(connection.send), name="statuses")
                    group.create_task(self._confirm(connection), name="confirmations")
                    group.create_task(self._receive(connection), name="listen")
            finally:
                self._connection = None
                self._ended.set()

    async def _greet(self, connection: Connection, address: str) -> None:
        try:
            async with asyncio.timeout(WELCOME_TIMEOUT):
                await connection.send(Hello(self._description))
                answer = await connection.receive()
        except TimeoutError:
            raise SessionLost(f"the manager at {address} did not answer within {WELCOME_TIMEOUT:g} s") from None
        if not isinstance(answer, SessionInfo):
            raise SessionLost(f"the manager at {address} answered hello with {type(answer).__name__}")
        self._number = self._applied = 0
        self._received = Mailbox()
        self._pending_parts = []
        self._welcome(answer)
        self.connected.set()
        log.info("session", manager=address)

    def _welcome(self, message: SessionInfo) -> None:
        self._period = message.period
        self._managers.update(message.managers, message.ids)

    async def _beat(self, connection: Connection) -> NoReturn:
        while True:
            await asyncio.sleep(self._period)
            await connection.send(Heartbeat(self._applied))

    async def _confirm(self, connection: Connection) -> NoReturn:
        while True:
            number = await self._received.take()
            await self._routed()
            self._applied = number
            await connection.send(Heartbeat(number))

    async def _send_descriptions(self, connection: Connection) -> NoReturn:
        while True:
            await connection.send(Hello(await self._descriptions.take()))
            await asyncio.sleep(DESCRIPTION_PAUSE)

    async def _receive(self, connection: Connection) -> NoReturn:
        while True:
            match await connection.receive():
                case Part() as part:
                    self._pending_parts.append(part)
                case Assignments() as message:
                    self._check(message)
                    self._apply(self._merged(message))
                    self._received.put(message.number)
                case Accepted(number):
                    self._reporter.accept(number)
                case SessionInfo() as message:
                    self._welcome(message)

    def _merged(self, message: Assignments) -> Assignments:
        """The message, joined with the parts that were sent before it."""
        parts, self._pending_parts = [*self._pending_parts, message], []
        put = [resource for part in parts for resource in part.put]
        return Assignments(message.number, message.full, put, [key for part in parts for key in part.remove])

    def _check(self, message: Assignments) -> None:
        if message.number != self._number + 1 or (message.number == 1 and not message.full):
            raise SessionLost(f"assignments {message.number} came after {self._number}: something was lost")
        self._number = message.number
