"""The session's interface: how an agent reaches a manager. Implemented by GrpcConnector, and by a fake in tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from api.errors import Unavailable
from api.wire.session_messages import AgentMessage, ManagerMessage


class SessionLost(Unavailable):
    """The connection to this manager failed or ended; another manager may be tried."""


class NodeRefused(SessionLost):
    """A manager reports that this node is not part of the cluster any more."""


class HelloRefused(SessionLost):
    """A manager refused this node's Hello; repeating it at once would not help."""


class Connection(Protocol):
    """One stream to one manager. `send` may be called by several tasks."""

    async def send(self, message: AgentMessage) -> None:
        """Send a message; order is preserved. Raises SessionLost."""
        ...

    async def receive(self) -> ManagerMessage:
        """Return the next message. Raises SessionLost, also when the manager ends the stream."""
        ...


class Connector(Protocol):
    """Opens connections to managers."""

    def connect(self, address: str, node_id: str = "") -> AbstractAsyncContextManager[Connection]:
        """Connect to the manager at "address:host_port", which must have that node id if one is given.

        Leaving the context closes the connection. Raises SessionLost.
        """
        ...
