"""What the HTTP handlers need of the manager they serve."""

from __future__ import annotations

from typing import Protocol

from kit.timing import Clock
from manager.hosts.host_client import Hosts
from manager.status.event_log import EventLog
from manager.store.interface import Store


class ClusterContext(Protocol):
    """A running manager, as its HTTP handlers see it."""

    @property
    def node_id(self) -> str:
        """Of the host this manager runs on."""
        ...

    @property
    def store(self) -> Store:
        """The cluster's state."""
        ...

    @property
    def hosts(self) -> Hosts:
        """The other hosts' services (logs)."""
        ...

    @property
    def events(self) -> EventLog:
        """What has happened lately."""
        ...

    @property
    def clock(self) -> Clock:
        """Unix seconds."""
        ...

    async def remove_member(self, node_id: str) -> None:
        """Take the member of a manager that does not answer out of the store's quorum, if it is in there.

        Raises Conflict when that would cost the quorum, Unavailable.
        """
        ...

    def leader_id(self) -> str:
        """Node id of the leader; "" when nobody leads."""
        ...
