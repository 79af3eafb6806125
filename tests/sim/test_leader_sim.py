"""The leader's planners under the real reconcile loop, with slow agents, lost nodes, and leaders that come and go.

Seeded, in virtual time. After every step that a store sees, nothing is held twice; when the trouble ends, every service
has what its user wants, and no task is left that nobody needs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from msgspec.structs import replace

from api.objects.kinds import DESCRIPTION, NODE, SERVICE, SESSION, STATUS
from api.objects.observed import NodeSession, TaskStatus
from api.states import GOING, NodeState, TaskState
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.leader.reconciler import reconcile
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Delete, Put
from tests import make
from tests.manager.invariants import check
from tests.manager.world import counter

NODES = [f"n{number}" for number in range(6)]
IMAGES = ["web:1", "web:2", "web:3"]


class Simulation:
    """A cluster of six nodes and two managers, and what befalls it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = loop_clock(1_000_000.0)
        self.database = MemoryDatabase(delay=lambda: self.rng.random() * 0.05)
        self.stores = [MemoryStore(self.clock, self.database) for _ in range(2)]
        self.terms = 0
        self.calm = False
        self._leader: asyncio.Task[None] | None = None

    @property
    def store(self) -> MemoryStore:
        """The present leader's."""
        return self.stores[self.terms % 2]

    async def write(self, *rows: object) -> None:
        flat = [row for item in rows for row in (item if isinstance(item, list) else [item])]
        await self.store.commit([Put(kind, id, value) for kind, id, value in flat])

    async def run(self, seconds: float) -> None:
        """Trouble for so long, then calm until all is as it should be."""
        await self.write(make.cluster(), make.ingress(), make.network("a"), make.network("b"))
        await self.write(*[make.node(id, labels={"az": id[-1]}) for id in NODES])
        helpers = [asyncio.ensure_future(work) for work in (self.watch(), *map(self.agent, NODES))]
        self.lead()
        end = self.clock() + seconds
        while self.clock() < end:
            await asyncio.sleep(self.rng.expovariate(0.5))
            await self.happen()
        self.calm = True
        for id in NODES:
            await self.store.commit([Put(SESSION, id, NodeSession())])
        for service in list(self.store.state.services.values()):
            await self.want(service.id, image=service.spec.task_template.container_spec.image)
        await asyncio.sleep(300)
        for task in helpers:
            assert not task.done(), task.exception()
        await stop([*helpers, *([self._leader] if self._leader else [])])

    def lead(self) -> None:
        """The other manager takes over, with nothing of what the old one knew."""
        if self._leader is not None:
            self._leader.cancel()
        self.terms += 1
        own = planners(counter(f"t{self.terms}-"))
        self._leader = asyncio.ensure_future(reconcile(self.store, own, Memory(), self.clock))

    async def watch(self) -> None:
        """See every state there is."""
        while True:
            check(self.stores[0].state)
            await self.stores[0].wait_newer(self.stores[0].state.revision)

    async def agent(self, node_id: str) -> None:
        """Does as it is told, late and not always well."""
        while True:
            await asyncio.sleep(0.2 + self.rng.random())
            state = self.store.state
            if node_id not in state.sessions:
                continue
            changes = []
            for task in list(state.tasks_on(node_id).values()):
                if task.state is TaskState.ASSIGNED and (status := self.next_status(task.id, task.desired)):
                    changes.append(Put(STATUS, task.id, status))
            if changes:
                await self.store.commit(changes)

    def next_status(self, task_id: str, desired: TaskState) -> TaskStatus | None:
        old = self.store.state.statuses.get(task_id) or TaskStatus(TaskState.ASSIGNED)
        if old.state.is_terminal:
            return None
        if desired not in GOING:
            return replace(old, state=TaskState.SHUTDOWN, timestamp=self.clock())
        if not self.calm and self.rng.random() < 0.01:
            return replace(old, state=TaskState.FAILED, timestamp=self.clock())
        steps = [TaskState.ASSIGNED, TaskState.PREPARING, TaskState.STARTING, TaskState.RUNNING]
        if old.state is TaskState.RUNNING:
            return None
        new = steps[steps.index(old.state) + 1]
        started = self.clock() if new is TaskState.RUNNING else 0.0
        return TaskStatus(new, self.clock(), started_at=started)

    async def happen(self) -> None:
        """Something befalls the cluster."""
        node, service = self.rng.choice(NODES), self.rng.choice(["s1", "s2", "s3", "s4"])
        match self.rng.randrange(8):
            case 0:
                await self.store.commit([Delete(SESSION, node)])
            case 1 | 2 if node in self.store.state.nodes:
                await self.store.commit([Put(SESSION, node, NodeSession())])
            case 3:
                self.lead()
            case 4 if self.rng.random() < 0.3:
                await self.store.commit([Delete(SERVICE, service)])
            case 5 if self.rng.random() < 0.3:
                await self.store.commit([Delete(kind, node) for kind in (SESSION, NODE, DESCRIPTION)])
                await asyncio.sleep(3)
                await self.write(make.node(node, labels={"az": node[-1]}))
            case _:
                await self.want(service)

    async def want(self, service_id: str, image: str = "") -> None:
        """A user wants something else of a service."""
        rng = self.rng
        order, action = rng.choice(["stop-first", "start-first"]), rng.choice(["continue", "rollback"])
        fields = {
            "replicas": rng.randrange(12),
            "image": image or rng.choice(IMAGES),
            "networks": rng.choice([[], ["a"], ["a", "b"]]),
            "ports": [make.port()] if service_id in ("s1", "s2") else [],
            "mode": make.global_mode() if service_id == "s4" else None,
            "restart": make.restart(delay=rng.choice([0, 1, 5])),
            "update": make.update(rng.randrange(3), rng.choice([0, 2]), action, 2, 0.2, order),
        }
        old = self.store.state.services.get(service_id)
        row = make.service(service_id, created_at=self.clock(), **fields)
        if old is not None:
            row = (*row[:2], replace(old, spec=row[2].spec, revision=old.revision + 1))
        await self.write(row)


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_befalls_it_the_cluster_comes_to_what_is_wanted(seed: int) -> None:
    simulation = Simulation(seed)
    await simulation.run(150)
    state = simulation.store.state
    assert all(state.node_state(id) is NodeState.READY for id in NODES)
    for service in state.services.values():
        going = [task for task in state.tasks_of(service.id).values() if task.desired in GOING]
        assert {state.task_state(task) for task in going} <= {TaskState.RUNNING}
        decision = state.service_decisions[service.id]
        spec = state.revisions_of(service.id)[decision.revision].spec
        expected = len(NODES) if spec.mode.global_ else (spec.mode.replicated.replicas if spec.mode.replicated else 1)
        assert len(going) == expected
        assert set(Counter(task.slot or task.node_id for task in going).values()) <= {1}
        assert decision.update is None or decision.update.state in ("completed", "rollback_completed")
    assert {task.service_id for task in state.tasks.values()} <= set(state.services)
    for task in state.tasks.values():
        assert task.desired is not TaskState.REMOVE
        assert not (task.addresses and state.has_ended(task))
