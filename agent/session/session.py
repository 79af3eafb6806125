"""The session: finds a manager, says hello, keeps the heartbeat, takes assignments in and gives statuses out.

A session that is lost touches no task: it is replaced by one with another manager, which starts with the whole set
and gets all statuses again. Protocol: api/wire/session_messages.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from agent.session.interface import Connection, Connector, HelloRefused, SessionLost
from agent.session.known_managers import Managers
from agent.session.status_reporter import Reporter
from api.objects.observed import NodeDescription
from api.wire.session_messages import Accepted, Assignments, Goodbye, Heartbeat, Hello, Part, SessionInfo
from kit.mailbox import Mailbox
from kit.supervisor import run_cancellable
from kit.timing import backoff

log = structlog.get_logger(__name__)

WELCOME_TIMEOUT = 5.0
"""Seconds a manager has to answer the first Hello."""
NEWS_PAUSE = 0.5
"""Seconds between two descriptions; managers read no more than two per second."""
FAREWELL_TIMEOUT = 2.0
"""Seconds a manager has to take note of a Goodbye."""


class Session:
    """One agent's endless connection with the managers."""

    def __init__(
        self,
        connector: Connector,
        managers: Managers,
        reporter: Reporter,
        apply: Callable[[Assignments], None],
        routed: Callable[[], Awaitable[None]],
        description: NodeDescription,
        rng: random.Random,
    ) -> None:
        """`apply` takes assignments in; `routed` returns when traffic on the host follows what was taken in so far."""
        self._connector = connector
        self._managers = managers
        self._reporter = reporter
        self._apply = apply
        self._routed = routed
        self._in_force = 0
        self._taken: Mailbox[int] = Mailbox()
        self._description = description
        self._news: Mailbox[NodeDescription] = Mailbox()
        self._rng = rng
        self._period = 0.0
        self._number = 0
        self._parts: list[Part | Assignments] = []
        self._connection: Connection | None = None
        self._ended = asyncio.Event()
        self._hurry = asyncio.Event()
        self.connected = asyncio.Event()
        """Set while a manager listens."""

    def describe(self, description: NodeDescription) -> None:
        """The node is different now: say hello again."""
        if description != self._description:
            self._description = description
            self._news.put(description)

    def hurry(self) -> None:
        """Managers are known that were not: try them now."""
        self._hurry.set()

    async def farewell(self) -> None:
        """Tell the manager that the node leaves, if one listens; returns when it has taken note, or time is up."""
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
        """One session after the other."""
        delays = backoff(self._rng)
        while True:
            address, refused = self._managers.next(), False
            try:
                if not address:
                    raise SessionLost("no manager is known")
                await run_cancellable(self._converse(address))
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

    async def _converse(self, address: str) -> None:
        async with self._connector.connect(address, self._managers.node_id(address)) as connection:
            await self._greet(connection, address)
            self._connection = connection
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._beat(connection), name="heartbeat")
                    group.create_task(self._tell_news(connection), name="description")
                    group.create_task(self._reporter.deliver(connection.send), name="statuses")
                    group.create_task(self._confirm(connection), name="confirmations")
                    group.create_task(self._listen(connection), name="listen")
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
        self._number = self._in_force = 0
        self._taken = Mailbox()
        self._parts = []
        self._welcome(answer)
        self.connected.set()
        log.info("session", manager=address)

    def _welcome(self, message: SessionInfo) -> None:
        self._period = message.period
        self._managers.update(message.managers, message.ids)

    async def _beat(self, connection: Connection) -> NoReturn:
        while True:
            await asyncio.sleep(self._period)
            await connection.send(Heartbeat(self._in_force))

    async def _confirm(self, connection: Connection) -> NoReturn:
        while True:
            number = await self._taken.take()
            await self._routed()
            self._in_force = number
            await connection.send(Heartbeat(number))

    async def _tell_news(self, connection: Connection) -> NoReturn:
        while True:
            await connection.send(Hello(await self._news.take()))
            await asyncio.sleep(NEWS_PAUSE)

    async def _listen(self, connection: Connection) -> NoReturn:
        while True:
            match await connection.receive():
                case Part() as part:
                    self._parts.append(part)
                case Assignments() as message:
                    self._check(message)
                    self._apply(self._whole(message))
                    self._taken.put(message.number)
                case Accepted(number):
                    self._reporter.accept(number)
                case SessionInfo() as message:
                    self._welcome(message)

    def _whole(self, message: Assignments) -> Assignments:
        """With the parts that came before it."""
        parts, self._parts = [*self._parts, message], []
        put = [resource for part in parts for resource in part.put]
        return Assignments(message.number, message.full, put, [key for part in parts for key in part.remove])

    def _check(self, message: Assignments) -> None:
        if message.number != self._number + 1 or (message.number == 1 and not message.full):
            raise SessionLost(f"assignments {message.number} came after {self._number}: something was lost")
        self._number = message.number
