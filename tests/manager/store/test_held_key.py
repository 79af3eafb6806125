"""Held keys: a key is written again when its lease has ended."""

from __future__ import annotations

import asyncio
import random

import pytest

from api.objects.kinds import SESSION
from api.objects.observed import NodeSession
from kit.timing import loop_clock
from manager.store.held_key import HeldKey
from manager.store.in_memory import MemoryDatabase, MemoryStore

TTL = 6.0


def held(store: MemoryStore, names: list[str]) -> HeldKey:
    """The session of node n; each write names another manager."""
    return HeldKey(store, SESSION, "n", lambda: NodeSession(names.pop(0)), TTL, random.Random(1))


def new_store() -> MemoryStore:
    return MemoryStore(loop_clock(0.0), MemoryDatabase())


@pytest.mark.looptime
async def test_it_lives_while_it_is_refreshed_and_is_written_anew_when_it_was_not() -> None:
    store = new_store()
    key = held(store, ["m1", "m2"])
    await key.open()
    for _ in range(3):
        await asyncio.sleep(TTL - 1)
        assert await key.refresh()
    assert store.state.sessions["n"] == NodeSession("m1")
    await asyncio.sleep(TTL + 1)
    assert not store.state.sessions
    assert await key.refresh()
    assert store.state.sessions["n"] == NodeSession("m2")


@pytest.mark.looptime
async def test_a_store_that_is_away_is_waited_for() -> None:
    store = new_store()
    key = held(store, ["m1", "m1", "m1", "m1"])
    store.cut()
    opening = asyncio.ensure_future(key.open())
    await asyncio.sleep(3)
    assert not opening.done()
    store.heal()
    await opening
    store.cut()
    assert not await key.refresh()
    store.heal()
    assert await key.refresh()
    assert store.state.sessions["n"] == NodeSession("m1")


@pytest.mark.looptime
async def test_another_value_has_the_same_lease_and_what_ends_is_gone_at_once() -> None:
    store = new_store()
    key = held(store, ["m1"])
    await key.put(NodeSession("m1", left=True))
    assert store.state.sessions["n"].left
    await key.end()
    await key.end()
    assert not store.state.sessions
