"""Leadership, in virtual time; and once on a real etcd."""

from __future__ import annotations

import asyncio

import pytest

from api.objects.kinds import NODE
from kit.timing import loop_clock, wall_clock
from manager.etcd.etcd_store import EtcdStore
from manager.leader.election import Election
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Fenced, Put
from tests.contracts.etcd_process import EtcdProcess
from tests.contracts.store_contract import node


def managers(count: int, delay: float = 0.0) -> tuple[list[MemoryStore], list[Election]]:
    """Stores of one cluster, and an election on each; leases of 3 s."""
    clock, database = loop_clock(1000.0), MemoryDatabase(delay=lambda: delay)
    stores = [MemoryStore(clock, database) for _ in range(count)]
    return stores, [Election(store, f"m{i}", clock, 3.0) for i, store in enumerate(stores)]


@pytest.mark.looptime
async def test_one_leads_and_everybody_knows_it() -> None:
    _, (first, second) = managers(2)
    assert first.leader_id() == ""

    await first.campaign()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await second.campaign()
    assert first.leader_id() == second.leader_id() == "m0"


@pytest.mark.looptime
async def test_a_leader_that_holds_its_term_keeps_it() -> None:
    stores, (first, _) = managers(2)
    term = await first.campaign()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await term.hold()

    await stores[0].commit([Put(NODE, "n1", node("n1"))], term.fence)


@pytest.mark.looptime
async def test_resigning_makes_room_at_once() -> None:
    stores, (first, second) = managers(2)
    term = await first.campaign()
    async with asyncio.TaskGroup() as group:
        campaign = group.create_task(second.campaign())
        await asyncio.sleep(1)
        await term.resign()

    assert asyncio.get_running_loop().time() == 1
    assert second.leader_id() == "m1"
    await stores[1].commit([Put(NODE, "n1", node("n1"))], campaign.result().fence)
    with pytest.raises(Fenced):
        await stores[0].commit([Put(NODE, "n1", node("n1"))], term.fence)


@pytest.mark.looptime
async def test_a_leader_that_is_cut_off_knows_before_the_next_one_leads() -> None:
    loop = asyncio.get_running_loop()
    stores, (first, second) = managers(2)
    term = await first.campaign()
    times: dict[str, float] = {}

    async def hold() -> None:
        await term.hold()
        times["lost"] = loop.time()

    async def follow() -> None:
        await second.campaign()
        times["won"] = loop.time()

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        group.create_task(follow())
        await asyncio.sleep(10)
        stores[0].cut()

    assert 12 < times["lost"] < times["won"] <= 13


@pytest.mark.looptime
async def test_a_leader_whose_key_vanishes_stops_at_once() -> None:
    stores, (first, _) = managers(2)
    term = await first.campaign()

    async with asyncio.TaskGroup() as group:
        group.create_task(term.hold())
        await asyncio.sleep(0.1)
        await term.resign()

    assert asyncio.get_running_loop().time() == 0.1
    assert stores[1].state.revision > term.fence.revision


@pytest.mark.looptime
async def test_of_many_that_campaign_at_once_one_leads_at_any_time() -> None:
    _, elections = managers(5, delay=0.01)
    leading = 0
    terms = 0

    async def run(election: Election) -> None:
        nonlocal leading, terms
        while terms < 20:
            term = await election.campaign()
            leading += 1
            terms += 1
            assert leading == 1
            await asyncio.sleep(0.5)
            leading -= 1
            await term.resign()

    async with asyncio.TaskGroup() as group:
        for election in elections:
            group.create_task(run(election))

    assert terms >= 20


async def test_on_etcd_a_term_is_won_held_and_handed_over(etcd: EtcdProcess) -> None:
    stores = [EtcdStore([etcd.endpoint]) for _ in range(2)]
    for store in stores:
        await store.start()
    first, second = (Election(store, f"m{i}", wall_clock, 3.0) for i, store in enumerate(stores))
    async with asyncio.timeout(30):
        term = await first.campaign()
        async with asyncio.TaskGroup() as group:
            campaign = group.create_task(second.campaign())
            hold = group.create_task(term.hold())
            await stores[0].commit([Put(NODE, "n1", node("n1"))], term.fence)
            await term.resign()
            await hold
        with pytest.raises(Fenced):
            await stores[0].commit([Put(NODE, "n2", node("n2"))], term.fence)
        await stores[1].commit([Put(NODE, "n3", node("n3"))], campaign.result().fence)
        await campaign.result().resign()
    for store in stores:
        await store.close()
