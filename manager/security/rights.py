"""Rights: what a caller may do, by the store and not by its certificate alone.

A certificate proves the identity of the caller and its role at the time of issue. The store says whether the node still
belongs to the cluster, with which key it joined, and its wanted role; a manager must be one in both. Rights are checked
for every request, and again whenever nodes change, for as long as a request or stream lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

from api.errors import Forbidden, Unavailable
from api.objects.kinds import CLUSTER, CURRENT_LEADER, LEADERSHIP, NODE, Kind
from api.objects.wanted import Node
from api.states import Role
from api.wire.rpc import Caller, key_digest
from kit.permits import Permits
from manager.store.interface import Store
from manager.store.state import Event, State

KNOWN_WITHIN = 1.5
"""Seconds to wait for an unknown caller: it may have joined through another manager a moment ago."""


def member(state: State, caller: Caller) -> Node:
    """The caller's node. Raises Forbidden when it is not in the cluster, Unavailable while this manager has no
    state."""
    if (node := state.nodes.get(caller.node_id)) is None:
        if state.cluster is None:  # lost, or not read yet: then nothing is known about any node
            raise Unavailable("this manager does not know its cluster yet; try again")
        raise Forbidden(f"node {caller.node_id} is not part of this cluster any more")
    if node.public_key and caller.key != key_digest(node.public_key):
        raise Forbidden(f"the certificate in the name of node {node.id} is for another key than that node joined with")
    return node


def manager(state: State, caller: Caller, what: str) -> Node:
    """The caller's node, if it is a manager. `what` names the request in the error. Raises Forbidden or Unavailable."""
    node = member(state, caller)
    if caller.role is not Role.MANAGER:
        raise Forbidden(f"{what} is for managers; the certificate of node {node.id} is a worker's")
    if node.spec.role is not Role.MANAGER:
        raise Forbidden(f"{what} is for managers; node {node.id} is a manager no more")
    return node


def leads(state: State, node_id: str) -> bool:
    """Whether the node is the leader."""
    leadership = state.table(LEADERSHIP).get(CURRENT_LEADER)
    return leadership is not None and leadership.node_id == node_id


class Rights:
    """Rights of the callers of one manager, checked for as long as their requests last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._permits = Permits()
        watch(store.state, (NODE, CLUSTER), self._permits.recheck)

    async def known(self, node_id: str) -> None:
        """Wait until the node is known here, at most KNOWN_WITHIN seconds."""
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                while node_id not in self._store.state.nodes:
                    await self._store.wait_newer(self._store.state.revision)
        except TimeoutError:
            return

    def held(self, check: Callable[[], object], end: Callable[[], None]) -> AbstractContextManager[None]:
        """Run the block for as long as `check` does not raise. When it raises, call `end`, then end the block with
        it."""
        return self._permits.hold(check, end)


def watch(state: State, kinds: Collection[Kind[Any]], on_change: Callable[[], object]) -> None:
    """Call `on_change` after each change of an object of these kinds, for the lifetime of the state."""

    def observe(event: Event) -> None:
        if event.kind in kinds:
            on_change()

    state.observe(observe)
