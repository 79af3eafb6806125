"""The session's port: how an agent talks to a manager. `rpclink` stands behind it, and an in-process twin in tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from api.errors import Unavailable
from api.wire.session_messages import AgentMessage, ManagerMessage


class SessionLost(Unavailable):
    """There is no (more) talking to this manager; another one may be tried."""


class NodeRefused(SessionLost):
    """A manager says that this node is not part of the cluster any more."""


class HelloRefused(SessionLost):
    """A manager does not take what this node says; to say it again at once would not help."""


class Connection(Protocol):
    """One stream to one manager. `send` may be called by several tasks."""

    async def send(self, message: AgentMessage) -> None:
        """Hand a message over, in order. Raises SessionLost."""
        ...

    async def receive(self) -> ManagerMessage:
        """The next message. Raises SessionLost, also when the manager ends the stream."""
        ...


class Connector(Protocol):
    """Makes connections."""

    def connect(self, address: str, node_id: str = "") -> AbstractAsyncContextManager[Connection]:
        """Talk to the manager at "address:host_port", of that node id if one is given; leaving the context ends it.

        Raises SessionLost.
        """
        ...
