"""Calls to the hosts' own services (`argosy.Host`), found by node id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from api.wire import LogLine, LogsRequest


class Hosts(Protocol):
    """The cluster's hosts, as a manager reaches them."""

    def logs(self, node_id: str, request: LogsRequest) -> AsyncIterator[LogLine]:
        """A container's log. Raises NotFound (no such container there) or Unavailable (the host does not answer)."""
        ...
