"""Lists of the cluster's nodes for hosts under test."""

from __future__ import annotations

from agent.callers import Callers
from api.assignment import MemberOrder


def callers(*workers: str, managers: tuple[str, ...] = (), patience: float = 0.0) -> Callers:
    """A host that knows these nodes."""
    known = {id: MemberOrder(id) for id in workers} | {id: MemberOrder(id, manager=True) for id in managers}
    return Callers(lambda: known, patience)
