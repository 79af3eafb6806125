"""A session to a manager with a tap: the node also receives what managers send to its agent.

From these messages it learns of other managers, of its role and of its removal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.session.interface import Connection, Connector, NodeRefused
from api.wire.session_messages import AgentMessage, ManagerMessage


class SessionTap:
    """Passes messages on, managers' also to `heard`; calls `refused` when a manager does not know the node."""

    def __init__(
        self, connector: Connector, heard: Callable[[ManagerMessage], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        self._connector = connector
        self._heard = heard
        self._refused = refused

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[Connection]:
        """See agent.session.interface.Connector."""
        async with self._connector.connect(address, node_id) as connection:
            yield _TappedConnection(connection, self._heard, self._refused)


class _TappedConnection:
    def __init__(
        self, connection: Connection, heard: Callable[[ManagerMessage], None], refused: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._heard = heard
        self._refused = refused

    async def send(self, message: AgentMessage) -> None:
        """See agent.session.interface.Connection."""
        await self._connection.send(message)

    async def receive(self) -> ManagerMessage:
        """See agent.session.interface.Connection."""
        try:
            message = await self._connection.receive()
        except NodeRefused:
            self._refused()
            raise
        self._heard(message)
        return message
