"""The manager as its HTTP handlers see it."""

from __future__ import annotations

from typing import Protocol

from kit.timing import Clock
from manager.hosts.host_client import Hosts
from manager.status.event_log import EventLog
from manager.store.interface import Store


class ClusterContext(Protocol):
    """A running manager."""

    @property
    def node_id(self) -> str:
        """The node that this manager runs on."""
        ...

    @property
    def store(self) -> Store:
        """The cluster's state."""
        ...

    @property
    def hosts(self) -> Hosts:
        """Calls to other hosts (logs)."""
        ...

    @property
    def events(self) -> EventLog:
        """The newest events of the cluster."""
        ...

    @property
    def clock(self) -> Clock:
        """Unix seconds."""
        ...

    async def remove_member(self, node_id: str) -> None:
        """Remove the member of a manager that does not answer from the store's quorum, if it has one.

        Raises Conflict when that would cost the quorum, Unavailable.
        """
        ...

    def leader_id(self) -> str:
        """Node id of the leader; "" when no manager leads."""
        ...
