"""A session to a manager with a tap: the node also receives what managers send to its agent.

From these messages it learns of other managers, of its role and of its removal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.session.interface import Conversation, Link, NodeRefused
from api.wire.session_messages import AgentMessage, ManagerMessage


class SessionTap:
    """Passes messages on, managers' also to `heard`; calls `refused` when a manager does not know the node."""

    def __init__(
        self, link: Link, heard: Callable[[ManagerMessage], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        self._link = link
        self._heard = heard
        self._refused = refused

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[Conversation]:
        """See agent.session.interface.Link."""
        async with self._link.connect(address, node_id) as conversation:
            yield _TappedConnection(conversation, self._heard, self._refused)


class _TappedConnection:
    def __init__(
        self, conversation: Conversation, heard: Callable[[ManagerMessage], None], refused: Callable[[], None]
    ) -> None:
        self._conversation = conversation
        self._heard = heard
        self._refused = refused

    async def send(self, message: AgentMessage) -> None:
        """See agent.session.interface.Conversation."""
        await self._conversation.send(message)

    async def receive(self) -> ManagerMessage:
        """See agent.session.interface.Conversation."""
        try:
            message = await self._conversation.receive()
        except NodeRefused:
            self._refused()
            raise
        self._heard(message)
        return message
