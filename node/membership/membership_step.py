"""What a host does next about its place in a cluster. Pure.

    into a cluster:  (FOUND) → START → (MANAGE or RESUME) → REST
    another role:    (RETIRE) → STOP → START → (RESUME) → REST
    another address: STOP → START → (RESUME) → REST
    out of it:       LEAVE → REST

The runner (membership.py) performs the action and asks again, until there is nothing left to do. Containers run on
through everything but LEAVE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from api.states import Role
from manager.store.interface import Put
from node.membership.address_change import is_reached_elsewhere
from node.membership.identity import Identity


class Action(Enum):
    """What the runner does next."""

    REST = auto()
    """Nothing, until something else is wanted."""
    FOUND = auto()
    """Start the first manager of a new cluster, with the objects that its store begins with."""
    START = auto()
    """Listen for other hosts, and run the agent."""
    MANAGE = auto()
    """Start the manager and wait until it serves: somebody wants to know whether it does."""
    RESUME = auto()
    """Start the manager in the background, however long that takes: without a majority it cannot serve."""
    RETIRE = auto()
    """Take this node's manager out of the cluster's store, and stop it."""
    STOP = auto()
    """Stop everything that runs for the present identity; containers and networks stay."""
    RENEW = auto()
    """Use other credentials everywhere."""
    NOTE = auto()
    """Write down what nothing that runs depends on, such as where the other managers are."""
    LEAVE = auto()
    """Stop everything, and remove what the node had: containers, networks, the store's data, its identity."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What this host is to be."""

    identity: Identity | None = None
    """None: in no cluster."""
    is_entering: bool = False
    """Somebody waits to hear whether it succeeds; what fails undoes all of it."""
    first: tuple[Put, ...] = ()
    """What the store of a new cluster begins with; empty for a cluster that exists."""


@dataclass(frozen=True, slots=True)
class Running:
    """What runs on this host now."""

    identity: Identity | None = None
    """The identity that it runs under; None when nothing runs."""
    is_started: bool = False
    """Whether the host listens for others and runs the agent."""
    is_managing: bool = False
    """Whether a manager serves, or is being started."""


def step(wanted: Wanted, running: Running) -> Action:
    """The next action on the way from what runs to what is wanted."""
    target, now = wanted.identity, running.identity
    if target is None:
        return Action.REST if now is None else Action.LEAVE
    if now is None:
        return Action.FOUND if wanted.first else Action.START
    if now.role is not target.role:
        return Action.RETIRE if running.is_managing and target.role is Role.WORKER else Action.STOP
    if is_reached_elsewhere(now.membership, target.membership):
        return Action.STOP
    if not running.is_started:
        return Action.START
    if now.credentials != target.credentials:
        return Action.RENEW
    if target.role is Role.MANAGER and not running.is_managing:
        return Action.MANAGE if wanted.is_entering else Action.RESUME
    return Action.REST if now == target else Action.NOTE
