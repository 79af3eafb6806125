"""What the HTTP handlers need of the manager they serve."""

from __future__ import annotations

from typing import Protocol

from kit.timing import Clock
from manager.hosts import Hosts
from manager.store.base import Store


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
    def clock(self) -> Clock:
        """Unix seconds."""
        ...

    def leader_id(self) -> str:
        """Node id of the leader; "" when nobody leads."""
        ...
