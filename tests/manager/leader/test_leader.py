"""Planning only while leading, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.objects.kinds import NODE
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.leader.election import Election
from manager.leader.leader import Leader
from manager.plan import Plan, Planner
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put
from manager.store.state import Dirty, State
from tests.contracts.store_contract import node


def marking(name: str) -> Planner[Any]:
    """A planner that puts its manager's name on the node "n", once a second."""

    def planner(state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        wanted = node("n", name)
        return Plan([Put(NODE, "n", wanted)] if state.nodes.get("n") != wanted else [], {("nodes", "n"): now + 1})

    return planner


@pytest.mark.looptime
async def test_leadership_moves_when_the_leader_is_cut_off_and_when_it_stops() -> None:
    clock, database = loop_clock(0.0), MemoryDatabase()
    stores = [MemoryStore(clock, database) for _ in range(3)]
    leaders = [
        Leader(store, Election(store, f"m{i}", clock, 3.0), [marking(f"m{i}")], clock) for i, store in enumerate(stores)
    ]
    tasks = []
    for leader in leaders:
        tasks.append(asyncio.ensure_future(leader.run()))
        await asyncio.sleep(0.01)
    assert [leader.leading for leader in leaders] == [True, False, False]

    stores[0].cut()
    await asyncio.sleep(4)
    assert not leaders[0].leading
    second = leaders[1].leader_id()
    assert second in ("m1", "m2")
    assert stores[1].state.nodes["n"] == node("n", second)

    stores[0].heal()
    await stop([tasks[int(second[1])]])
    await asyncio.sleep(0.1)
    third = leaders[0].leader_id()
    assert third not in ("", second)
    assert stores[0].state.nodes["n"] == node("n", third)
    await stop(tasks)
    assert leaders[0].leader_id() == ""
