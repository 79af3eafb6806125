"""One workload, placed: by the bare planner, on the store in memory, and on etcd.

All return (seconds, CPU seconds of this process): the first is what counts, the second moves less on a busy machine.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from api.objects.decided import Task
from api.objects.kinds import TASK
from api.service.service_spec import ServiceSpec
from api.states import TaskState
from manager.etcd.etcd_store import EtcdStore
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.leader.reconciler import reconcile
from manager.plan import Planner
from manager.scheduler.scheduler import scheduler
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put, Store
from manager.store.state import Event, State
from tests import make
from tests.bench.workloads import Shape, nodes, pending
from tests.contracts.etcd_process import EtcdProcess

NOW = 1000.0
Took = tuple[float, float]


def fill(state: State, puts: Sequence[Put]) -> None:
    """Write without a store."""
    revision = state.revision + 1
    state.apply([Event(put.kind, put.id, put.value, revision) for put in puts], revision)


def decisions(shape: Shape, spec: ServiceSpec) -> Took:
    """The planner alone, on a state with its indexes and its memory."""
    gc.collect()
    state = State()
    fill(state, list(nodes(shape.nodes)))
    memory = Memory()
    scheduler(state, memory.scheduler, make.everything(state), NOW)
    fill(state, list(pending(shape, spec)))
    dirty = make.everything(state)
    start, cpu = time.perf_counter(), time.process_time()
    plan = scheduler(state, memory.scheduler, dirty, NOW)
    took = time.perf_counter() - start, time.process_time() - cpu
    check([change.value for change in plan.changes if isinstance(change, Put)], shape)
    return took


def check(values: Sequence[object], shape: Shape) -> None:
    """All tasks have a node."""
    placed = sum(1 for value in values if isinstance(value, Task) and value.state is TaskState.ASSIGNED)
    if placed != shape.tasks:
        raise RuntimeError(f"{placed} of {shape.tasks} tasks were placed")


class Watcher:
    """Sees what a database tells its stores, and counts tasks ASSIGNED."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.more = asyncio.Event()

    def deliver(self, events: Sequence[Event], revision: int) -> None:
        """As a MemoryStore's."""
        for event in events:
            if event.kind is TASK and isinstance(event.new, Task) and event.new.state is TaskState.ASSIGNED:
                self.seen.add(event.id)
        self.more.set()

    async def until(self, number: int) -> None:
        """Until so many tasks were seen."""
        while len(self.seen) < number:
            self.more.clear()
            await self.more.wait()


@asynccontextmanager
async def planning(store: Store, planners: Sequence[Planner[Memory]]) -> AsyncIterator[None]:
    """The reconcile loop, as a leader runs it."""
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(reconcile(store, planners, Memory(), lambda: NOW))
        await asyncio.sleep(0)
        yield
        loop.cancel()


async def in_memory(shape: Shape, spec: ServiceSpec) -> Took:
    """The store in memory and the reconcile loop."""
    gc.collect()
    database, watcher = MemoryDatabase(), Watcher()
    store = MemoryStore(database=database)
    database.stores.append(watcher)  # type: ignore[arg-type]  # all that is asked of it is to take in events
    puts = [*nodes(shape.nodes), *pending(shape, spec)]
    async with planning(store, planners()[-1:]):
        start, cpu = time.perf_counter(), time.process_time()
        await store.commit(puts)
        await watcher.until(shape.tasks)
        took = time.perf_counter() - start, time.process_time() - cpu
    check(list(store.state.tasks.values()), shape)
    return took


async def in_etcd(shape: Shape, spec: ServiceSpec) -> Took:
    """etcd, and a watcher in another process."""
    async with etcd_store() as (store, endpoint):
        puts = [*nodes(shape.nodes), *pending(shape, spec)]
        async with follower(endpoint) as pipe, planning(store, planners()[-1:]):
            pipe.send(shape.tasks)
            start, cpu = time.monotonic(), time.process_time()
            await store.commit(puts)
            end: float = await asyncio.to_thread(pipe.recv)
            cpu = time.process_time() - cpu
    return end - start, cpu


@asynccontextmanager
async def etcd_store() -> AsyncIterator[tuple[EtcdStore, str]]:
    """An etcd of its own and a store on it."""
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as directory:
        etcd = EtcdProcess(Path(directory))
        etcd.start()
        store = EtcdStore([etcd.endpoint], server_name=None)
        try:
            await store.start()
            yield store, etcd.endpoint
        finally:
            await store.close()
            etcd.kill()


@asynccontextmanager
async def follower(endpoint: str) -> AsyncIterator[Connection]:
    """Another process: told a number of tasks, it answers with the monotonic time at which it has seen so many."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=follow, args=(endpoint, theirs))
    process.start()
    theirs.close()  # or its end would not be noticed
    try:
        if await asyncio.to_thread(ours.recv) != "ready":
            raise RuntimeError("the watching process does not start")
        yield ours
    finally:
        process.kill()
        process.join()


def follow(endpoint: str, pipe: Connection) -> None:
    """The other process."""
    asyncio.run(_follow(endpoint, pipe))


async def _follow(endpoint: str, pipe: Connection) -> None:
    store = EtcdStore([endpoint], server_name=None)
    await store.start()
    pipe.send("ready")
    wanted = await asyncio.to_thread(pipe.recv)
    while len(store.state.tasks_in(TaskState.ASSIGNED)) < wanted:
        await store.wait_newer(store.state.revision)
    pipe.send(time.monotonic())
