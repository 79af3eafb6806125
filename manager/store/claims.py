"""Claims: that a name is taken, so that two managers cannot give it twice.

Pure: what takes or gives back a name is a change for the caller to commit with its own.
"""

from __future__ import annotations

from typing import Any

from api.objects.kinds import CLAIM, CONFIG, SECRET, Kind
from api.objects.wanted import Claim
from manager.store.interface import Change, Delete, Put
from manager.store.state import State


def claim(state: State, what: str, name: str, owner: str) -> Put:
    """The change that takes a name; commit it with the new object. Stale if another manager takes the name, too."""
    id = claim_id(what, name)
    return Put(CLAIM, id, Claim(owner), state.version(CLAIM, id))


def release(state: State, what: str, name: str, owner: str) -> list[Change]:
    """The change that gives a name back, if the owner holds it."""
    id = claim_id(what, name)
    held = state.table(CLAIM).get(id)
    return [Delete(CLAIM, id, state.version(CLAIM, id))] if held and held.owner == owner else []


def is_taken(state: State, what: str, name: str) -> bool:
    """Whether a living object of that kind ("service", "network", "secret", "config") holds the claim on a name."""
    claim = state.table(CLAIM).get(claim_id(what, name))
    if claim is None:
        return False
    if what == "service":
        service = state.services.get(claim.owner)
        return service is not None and service.spec.name == name
    if what in ("secret", "config"):
        kind: Kind[Any] = SECRET if what == "secret" else CONFIG
        held = state.table(kind).get(claim.owner)
        return held is not None and held.spec.name == name
    network = state.networks.get(claim.owner)
    return network is not None and network.spec.name == name and not network.removed


def claim_id(what: str, name: str) -> str:
    """Store id of the claim on a name."""
    return f"{what}.{name}"
