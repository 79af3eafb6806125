"""Claims: reservations of names, so that two managers cannot give the same name twice.

Pure: to claim or release a name is a change that the caller commits together with its own.
"""

from __future__ import annotations

from typing import Any

from api.objects.kinds import CLAIM, CONFIG, SECRET, Kind
from api.objects.wanted import Claim
from manager.store.interface import Change, Delete, Put
from manager.store.state import State


def claim(state: State, what: str, name: str, owner: str) -> Put:
    """The change that claims a name, to be committed with the new object; Stale if another manager claims it, too."""
    id = claim_id(what, name)
    return Put(CLAIM, id, Claim(owner), state.version(CLAIM, id))


def release(state: State, what: str, name: str, owner: str) -> list[Change]:
    """The change that releases a name, if the owner holds it."""
    id = claim_id(what, name)
    held = state.table(CLAIM).get(id)
    return [Delete(CLAIM, id, state.version(CLAIM, id))] if held and held.owner == owner else []


def is_taken(state: State, what: str, name: str) -> bool:
    """Whether an existing object of the kind `what` ("service", "network", "secret", "config") holds the name."""
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
    """Id of the claim on a name in the store."""
    return f"{what}.{name}"
