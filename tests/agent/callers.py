"""Lists of the cluster's nodes for hosts under test."""

from __future__ import annotations

from agent.serving.callers import Callers
from api.errors import Forbidden
from api.wire.assignments import MemberAssignment


def callers(*workers: str, managers: tuple[str, ...] = (), patience: float = 0.0) -> Callers:
    """A host that knows these nodes."""
    known = {id: MemberAssignment(id) for id in workers} | {id: MemberAssignment(id, manager=True) for id in managers}
    return Callers(lambda: known, patience)


class Granted:
    """Managers' word on who may have which image: these nodes any."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = nodes
        self.asked: list[tuple[str, str]] = []

    async def check(self, node_id: str, reference: str) -> None:
        self.asked.append((node_id, reference))
        if node_id not in self.nodes:
            raise Forbidden(f"node {node_id} has no task that needs it")
