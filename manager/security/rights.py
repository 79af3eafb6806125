"""What a caller may do: by the store, not by its certificate alone.

A certificate says who calls and what it was when the certificate was made. The store says whether it still belongs to
the cluster, which key it joined with, and which role it is wanted in; managers act only as managers in both. Looked up
for every request, and again whenever nodes change, for as long as a request or stream is under way.
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
"""Seconds that a caller may be unknown here: it may have joined a moment ago, at another manager."""


def member(state: State, caller: Caller) -> Node:
    """The caller's node. Raises Forbidden when it is none (any more), Unavailable when this manager cannot know."""
    if (node := state.nodes.get(caller.node_id)) is None:
        if state.cluster is None:  # lost, or not read yet: it says nothing about anybody
            raise Unavailable("this manager does not know its cluster yet; try again")
        raise Forbidden(f"node {caller.node_id} is not part of this cluster any more")
    if node.public_key and caller.key != key_digest(node.public_key):
        raise Forbidden(f"the certificate in the name of node {node.id} is for another key than that node joined with")
    return node


def manager(state: State, caller: Caller, what: str) -> Node:
    """The caller's node, if it may do what only managers may. Raises Forbidden, Unavailable."""
    node = member(state, caller)
    if caller.role is not Role.MANAGER:
        raise Forbidden(f"{what} is for managers; the certificate of node {node.id} is a worker's")
    if node.spec.role is not Role.MANAGER:
        raise Forbidden(f"{what} is for managers; node {node.id} is a manager no more")
    return node


def leads(state: State, node_id: str) -> bool:
    """Whether the node leads."""
    leadership = state.table(LEADERSHIP).get(CURRENT_LEADER)
    return leadership is not None and leadership.node_id == node_id


class Rights:
    """Who may do what at one manager, now and as long as it is being done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._permits = Permits()
        watch(store.state, (NODE, CLUSTER), self._permits.recheck)

    async def known(self, node_id: str) -> None:
        """Until the node is known here, or has had time to become so."""
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                while node_id not in self._store.state.nodes:
                    await self._store.wait_newer(self._store.state.revision)
        except TimeoutError:
            return

    def held(self, check: Callable[[], object], end: Callable[[], None]) -> AbstractContextManager[None]:
        """Do the block's work for as long as `check` does not raise; what it raises ends it, after `end`."""
        return self._permits.hold(check, end)


def watch(state: State, kinds: Collection[Kind[Any]], tell: Callable[[], object]) -> None:
    """Call `tell` whenever an object of these kinds has changed, for as long as there is that state."""

    def observe(event: Event) -> None:
        if event.kind in kinds:
            tell()

    state.observe(observe)
