"""The store in memory: the contract of stores, virtual time, and disconnection."""

from __future__ import annotations

import asyncio

import pytest

from api.errors import Unavailable
from api.objects.kinds import NODE, SESSION
from api.objects.observed import NodeSession
from kit.timing import loop_clock
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import LeaseEnded, Put, Store
from tests.contracts.store_contract import StoreContract, Stores, node


class TestMemoryStore(StoreContract):
    """The contract, in memory."""

    @pytest.fixture
    def stores(self) -> Stores:
        database = MemoryDatabase()

        async def open_store() -> Store:
            return MemoryStore(loop_clock(0.0), database)

        return open_store


@pytest.mark.looptime
async def test_a_lease_ends_at_its_virtual_second() -> None:
    store = MemoryStore(loop_clock(1000.0))
    loop = asyncio.get_running_loop()
    lease = await store.lease(6.0)
    revision = await lease.put(SESSION, "n1", NodeSession("m1"))
    await asyncio.sleep(4)
    await lease.refresh()

    await store.wait_newer(revision)

    assert loop.time() == 10
    assert not store.state.sessions
    with pytest.raises(LeaseEnded):
        await lease.refresh()


async def test_a_cut_store_writes_nothing_stands_still_and_catches_up() -> None:
    database = MemoryDatabase()
    one, two = MemoryStore(database=database), MemoryStore(database=database)
    await one.commit([Put(NODE, "a", node("a"))])
    two.cut()
    with pytest.raises(Unavailable):
        await two.commit([Put(NODE, "b", node("b"))])
    await one.commit([Put(NODE, "c", node("c"))])
    assert set(two.state.nodes) == {"a"}
    dirty = two.track()
    dirty.take()

    two.heal()

    assert set(two.state.nodes) == {"a", "c"}
    assert dirty.nodes == {"c"}


@pytest.mark.looptime
async def test_requests_take_the_time_they_are_told_to() -> None:
    store = MemoryStore(loop_clock(0.0), MemoryDatabase(delay=lambda: 0.5))

    await store.commit([Put(NODE, "a", node("a"))])

    assert asyncio.get_running_loop().time() == 0.5
