"""The shell around the planners, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from api.network.network_spec import NetworkSpec
from api.objects.kinds import NETWORK, NODE, SERVICE
from api.objects.wanted import Network, Service
from api.service.service_spec import ServiceSpec
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.leader.reconciler import reconcile, without_conflicts
from manager.plan import Plan, Planner
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Change, Fence, Fenced, Put
from manager.store.state import Dirty, State
from tests.contracts.store_contract import node

START = 1000.0
Look = tuple[float, Dirty]


class Recorder:
    """A planner that keeps what it was asked, and answers from a list: plans first to last, then nothing."""

    def __init__(self, *plans: Plan | Exception) -> None:
        self.looks: list[Look] = []
        self._plans = list(plans)

    def __call__(self, state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        self.looks.append((now - START, dirty))
        plan = self._plans.pop(0) if self._plans else Plan()
        if isinstance(plan, Exception):
            raise plan
        return plan

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.looks]


async def run_for(
    seconds: float, store: MemoryStore, planners: Sequence[Planner[Any]], fence: Fence | None = None
) -> None:
    """Reconcile for so long, starting at the clock's time START."""
    clock = loop_clock(START)
    task = asyncio.ensure_future(reconcile(store, planners, None, clock, fence))
    await asyncio.wait((task,), timeout=seconds)
    if task.done():
        task.result()
    await stop([task])


def service(name: str) -> Put:
    return Put(SERVICE, name, Service(name, spec=ServiceSpec(name=name)))


@pytest.mark.looptime
async def test_at_first_everything_is_dirty_and_then_what_changes() -> None:
    store, planner = MemoryStore(), Recorder()
    await store.commit([service("s1"), service("s2")])

    async def change() -> None:
        await asyncio.sleep(5)
        await store.commit([service("s2")])

    await asyncio.gather(run_for(10, store, [planner]), change())

    assert planner.times == [0, 5]
    assert [dirty.services for _, dirty in planner.looks] == [{"s1", "s2"}, {"s2"}]


@pytest.mark.looptime
async def test_the_result_of_a_round_is_seen_by_the_next() -> None:
    store = MemoryStore()
    await store.commit([service("s1")])
    counts: list[int] = []

    def planner(state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        counts.append(len(state.networks))
        if len(state.networks) >= 3:
            return Plan()
        name = f"net{len(state.networks)}"
        return Plan([Put(NETWORK, name, Network(name, spec=NetworkSpec(name=name)))])

    await run_for(1, store, [planner])

    assert counts == [0, 1, 2, 3]


@pytest.mark.looptime
async def test_what_is_to_be_looked_at_again_is_dirty_at_that_time_and_once() -> None:
    store = MemoryStore()
    planner = Recorder(Plan(again={("services", "s1"): START + 7, ("tasks", "t1"): START + 3}))

    await run_for(60, store, [planner])

    assert planner.times == [0, 3, 7]
    assert (planner.looks[1][1].tasks, planner.looks[2][1].services) == ({"t1"}, {"s1"})


@pytest.mark.looptime
async def test_a_newer_time_replaces_the_older_but_not_another_planners() -> None:
    store = MemoryStore()
    moving = Recorder(Plan(again={("nodes", "n1"): START + 5}), Plan(again={("nodes", "n1"): START + 20}))
    other = Recorder(Plan(again={("nodes", "n1"): START + 2}))

    await run_for(60, store, [moving, other])

    assert moving.times == [0, 2, 20]


@pytest.mark.looptime
async def test_while_the_store_is_away_nothing_is_lost() -> None:
    store = MemoryStore()
    planner = Recorder(*[Plan([Put(NODE, "n1", node("n1"))])] * 50)
    await store.commit([service("s1")])
    store.cut()
    asyncio.get_running_loop().call_later(30, store.heal)

    await run_for(60, store, [planner])

    assert store.state.nodes == {"n1": node("n1")}
    before = [look for look in planner.looks if look[0] < 30]
    assert all(dirty.services == {"s1"} for _, dirty in before)
    assert 5 < len(before) < 20


@pytest.mark.looptime
async def test_a_commit_that_was_beaten_is_planned_anew() -> None:
    database = MemoryDatabase(delay=lambda: 1.0)
    store, rival = MemoryStore(database=database), MemoryStore(database=database)
    await rival.commit([Put(NODE, "n1", node("n1", "first"))])

    def planner(state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        present = state.nodes["n1"].spec.labels["label"]
        if "seen" in present or not dirty.nodes:
            return Plan()
        return Plan([Put(NODE, "n1", node("n1", f"seen {present}"), expected=state.version(NODE, "n1"))])

    async def beat() -> None:
        await rival.commit([Put(NODE, "n1", node("n1", "second"))])

    await asyncio.gather(beat(), run_for(10, store, [planner]))

    assert store.state.nodes == {"n1": node("n1", "seen second")}


@pytest.mark.looptime
async def test_who_leads_no_more_is_told_so() -> None:
    store = MemoryStore()
    planner = Recorder(Plan([Put(NODE, "n1", node("n1"))]))
    await store.commit([service("s1")])

    with pytest.raises(Fenced):
        await run_for(5, store, [planner], Fence("/argosy/leader/current", 1))

    assert not store.state.nodes


@pytest.mark.looptime
async def test_a_broken_planner_does_not_keep_the_others_from_their_work() -> None:
    store = MemoryStore()
    await store.commit([service("s1")])
    broken, sound = Recorder(*[KeyError("bug")] * 3), Recorder(Plan([Put(NODE, "n1", node("n1"))]))

    await run_for(20, store, [broken, sound])

    assert store.state.nodes == {"n1": node("n1")}
    assert len(broken.looks) == 4
    assert all("s1" in dirty.services for _, dirty in broken.looks)


@pytest.mark.looptime
async def test_between_planners_the_event_loop_turns() -> None:
    store, turns = MemoryStore(), 0
    await store.commit([service("s1")])
    seen: list[int] = []

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def planner(state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        seen.append(turns)
        return Plan()

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    task = asyncio.ensure_future(reconcile(store, [planner] * 3, None, loop_clock(START)))
    for _ in range(20):
        await asyncio.sleep(0)
    await stop([task, ticker])

    assert seen[0] < seen[1] < seen[2]


def test_the_first_planner_to_want_a_key_gets_it() -> None:
    def put(name: str, label: str) -> Change:
        return Put(NODE, name, node(name, label))

    plans = [Plan([put("a", "1")]), Plan([put("a", "2"), put("b", "2")]), Plan([put("b", "3"), put("c", "3")])]

    assert without_conflicts(plans) == [put("a", "1"), put("b", "2"), put("c", "3")]
