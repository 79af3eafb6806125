"""W3 and W4: what a change costs in a cluster that runs. All three planners, in the reconcile loop.

A figure is the time from before the commit of what is wanted (or seen) until the store has everything decided; what the
planners took of it is given beside it. swarmkit waits at least 50 ms, its debounce, before it looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from api.ids import new_id
from api.objects.kinds import SERVICE, SESSION, STATUS
from api.objects.observed import TaskStatus
from api.reasons.reason import Code, Reason
from api.states import TaskState
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.plan import Plan, Planner
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put, Store
from manager.store.state import Dirty, State
from tests.bench.layers import etcd_store, planning
from tests.bench.report import Row, percentile
from tests.bench.workloads import Shape, running, service_of

DEBOUNCE = 50.0
"""Milliseconds: the least that swarmkit takes."""
QUICK = (Shape(100, 20, 500),)
FULL = (Shape(100, 20, 500), Shape(1000, 100, 500), Shape(1000, 100, 1000), Shape(5000, 100, 1000))
"""50 to 100 tasks per node, as swarmkit's; the third is the aim's, and the last has the same tasks on more nodes."""
IN_ETCD = (Shape(1000, 100, 500),)


class Timed:
    """A planner, and the CPU seconds it took."""

    def __init__(self, planner: Planner[Memory]) -> None:
        self._planner = planner
        self.seconds = 0.0

    def __call__(self, state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        start = time.thread_time()
        try:
            return self._planner(state, memory, dirty, now)
        finally:
            self.seconds += time.thread_time() - start


class Cluster:
    """A cluster that runs, with what wants to be changed and measured."""

    def __init__(self, store: Store, shape: Shape, timed: list[Timed]) -> None:
        self.store, self.shape, self.timed = store, shape, timed
        self._replicas = dict.fromkeys(range(shape.services), shape.replicas)
        self._revision = 1

    def planned(self) -> float:
        """Milliseconds of planning so far."""
        return 1000 * sum(planner.seconds for planner in self.timed)

    async def scale(self, number: int, more: int) -> tuple[float, float]:
        """More replicas of a service; milliseconds until they are assigned, and of planning."""
        self._revision += 1
        self._replicas[number] += more
        service = service_of(number, self._replicas[number], self._revision)
        wanted = self._assigned() + more
        before, start = self.planned(), time.perf_counter()
        await self.store.commit([Put(SERVICE, service.id, service)])
        await self._until(wanted)
        return 1000 * (time.perf_counter() - start), self.planned() - before

    async def status(self, number: int) -> tuple[float, float]:
        """One task says something new; milliseconds until that was looked at."""
        task = next(iter(self.store.state.tasks_of(f"service{number:06d}").values()))
        news = Reason(Code.NOT_HANDLED, {"text": f"still here {self._revision}"})
        status = TaskStatus(TaskState.RUNNING, 2.0, reason=news, started_at=1.0)
        before, start = self.planned(), time.perf_counter()
        await self.store.commit([Put(STATUS, task.id, replace(status, timestamp=time.perf_counter()))])
        await self._planned_more(before)
        return 1000 * (time.perf_counter() - start), self.planned() - before

    async def lose(self, node_id: str) -> tuple[float, float]:
        """A node's session ends; milliseconds until its tasks are assigned elsewhere."""
        wanted = self._assigned() + len(self.store.state.tasks_on(node_id))  # the lost ones stay as history
        before, start = self.planned(), time.perf_counter()
        await self.store.commit([Delete(SESSION, node_id)])
        await self._until(wanted)
        return 1000 * (time.perf_counter() - start), self.planned() - before

    def _assigned(self) -> int:
        return len(self.store.state.tasks_in(TaskState.ASSIGNED))

    async def _until(self, assigned: int) -> None:
        while self._assigned() < assigned:
            await self.store.wait_newer(self.store.state.revision)

    async def _planned_more(self, before: float) -> None:
        last = before
        while True:
            await asyncio.sleep(0)
            now = self.planned()
            if now > before and now == last:
                return
            last = now


@asynccontextmanager
async def _cluster(store: Store, shape: Shape) -> AsyncIterator[Cluster]:
    await store.commit(list(running(shape)))
    timed = [Timed(planner) for planner in planners(new_id)]
    async with planning(store, timed):
        cluster = Cluster(store, shape, timed)
        await cluster.scale(0, 1)  # the first look at everything, and all that is done once
        yield cluster


async def measure_changes(quick: bool, everything: bool, tell: Callable[[str], None]) -> list[Row]:
    """W3 and W4 on the store in memory, and (not if it is to be quick) on etcd."""
    rows: list[Row] = []
    for shape in QUICK if quick else FULL:
        tell(f"W3, W4 {shape}")
        async with _cluster(MemoryStore(), shape) as cluster:
            rows += await _measure(cluster, "b")
    for shape in () if quick else IN_ETCD:
        tell(f"W3, W4 {shape} on etcd")
        async with etcd_store() as (store, _), _cluster(store, shape) as cluster:
            rows += await _measure(cluster, "c")
    return rows


async def _measure(cluster: Cluster, layer: str) -> list[Row]:
    shape = cluster.shape
    size = f"{shape.nodes:,} nodes, {shape.tasks:,} tasks"
    rows = []
    results = [await cluster.status(n % shape.services) for n in range(50)]
    rows.append(_row(f"W3 one status: {size}", layer, results))
    for more, times in ((1, 30), (100, 5), (shape.tasks // 100, 3)):
        results = [await cluster.scale(1 + n % (shape.services - 1), more) for n in range(times)]
        rows.append(_row(f"W3 +{more}: {size}", layer, results, DEBOUNCE if more == 1 else None))
    results = [await cluster.lose(f"node{n:06d}") for n in (3, 5, 8)]
    rows.append(_row(f"W4 {shape.tasks // shape.nodes} tasks lost: {size}", layer, results))
    return rows


def _row(name: str, layer: str, results: list[tuple[float, float]], theirs: float | None = None) -> Row:
    times, plans = [total for total, _ in results], [planned for _, planned in results]
    details = {
        "p99 ms": round(percentile(times, 0.99), 2),
        "planners least ms": round(min(plans), 3),
        "p50": round(percentile(plans, 0.5), 3),
        "p99": round(percentile(plans, 0.99), 3),
    }
    return Row(name, layer, percentile(times, 0.5), "ms (p50)", theirs, True, details)
