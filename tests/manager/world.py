"""A cluster without a store or event loop: planners, agents and a clock, all advanced by the test.

Rounds work as in manager/leader/reconciler.py: every planner plans on one state; of two changes of a key the first
counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from api.objects.decided import Task
from api.objects.kinds import DESCRIPTION, NODE, SERVICE, SESSION, STATUS
from api.objects.observed import NodeSession, TaskStatus
from api.objects.wanted import Service
from api.states import GOING, TaskState
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.leader.reconciler import without_conflicts
from manager.plan import Plan
from manager.store.interface import Put
from manager.store.state import Dirty, Event, State
from tests import make


def counter(prefix: str = "t") -> Callable[[], str]:
    """Ids in order: t0001, t0002, …"""
    numbers = iter(range(1, 1_000_000))
    return lambda: f"{prefix}{next(numbers):06d}"


def apply_plan(state: State, changes: Any, dirty: Dirty | None = None) -> None:
    """Write a plan's changes."""
    revision = state.revision + 1
    events = [Event(c.kind, c.id, c.value if isinstance(c, Put) else None, revision) for c in changes]
    state.apply(events, revision, [] if dirty is None else [dirty])


class World:
    """The planners of a cluster, and agents that obey."""

    def __init__(self, *rows: Any, now: float = 1000.0) -> None:
        self.state = State()
        self.dirty = Dirty()
        self.now = now
        self.planners = planners(counter())
        self.memory = Memory()
        self.agenda: dict[tuple[int, str, str], float] = {}
        self.rounds = 0
        self.put(*rows)

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, *rows: Any) -> None:
        """Write rows."""
        make.apply(self.state, *rows, dirty=self.dirty)

    def delete(self, kind: Any, id: str) -> None:
        """Delete a key."""
        self.put((kind, id, None))

    def change(self, service_id: str = "s1", rollback: bool = False, **fields: Any) -> Service:
        """Change the spec of a service; the fields are those of make.spec."""
        old = self.state.services[service_id]
        fields.setdefault("name", old.spec.name)
        new = replace(old, spec=make.spec(**fields), revision=old.revision + 1, rollback=rollback)
        self.put((SERVICE, service_id, new))
        return new

    # ── the leader ───────────────────────────────────────────────────────────────────────────────────────────────

    def round(self) -> int:
        """Run one round. Returns the number of changes."""
        for key, at in list(self.agenda.items()):
            if at <= self.now:
                del self.agenda[key]
                self.dirty.add(key[1], key[2])
        taken, plans = self.dirty.take(), []
        for number, planner in enumerate(self.planners):
            plan: Plan = planner(self.state, self.memory, taken, self.now)
            for (kind, id), at in plan.again.items():
                self.agenda[number, kind, id] = at
            plans.append(plan)
        changes = without_conflicts(plans)
        apply_plan(self.state, changes, self.dirty)
        self.rounds += 1
        return len(changes)

    def decide(self) -> World:
        """Run rounds until nothing is dirty."""
        for _ in range(200):
            if not self.dirty and not any(at <= self.now for at in self.agenda.values()):
                return self
            self.round()
        raise AssertionError("the planners never come to rest")

    def new_leader(self) -> None:
        """Start a new leader, with empty memory."""
        self.planners, self.memory = planners(counter(f"l{self.rounds}-")), Memory()
        self.agenda.clear()
        self.state._indexes.clear()
        self.state.mark_all(self.dirty)

    # ── agents ───────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, task_id: str, state: TaskState, **fields: Any) -> None:
        """Store an agent's status of a task."""
        old = self.state.statuses.get(task_id)
        fields.setdefault("started_at", self.now if state is TaskState.RUNNING else old.started_at if old else 0.0)
        self.put((STATUS, task_id, TaskStatus(state, self.now, **fields)))

    def agents(self, run: Callable[[Task], TaskState] = lambda _: TaskState.RUNNING) -> int:
        """Let all agents with a session act. Returns the number of statuses they sent."""
        told = 0
        for task in list(self.state.tasks.values()):
            if task.node_id not in self.state.sessions or task.state is not TaskState.ASSIGNED:
                continue
            seen = self.state.task_state(task)
            if seen.is_terminal:
                continue
            wanted = TaskState.SHUTDOWN if task.desired not in GOING else run(task)
            if seen is not wanted:
                self.tell(task.id, wanted)
                told += 1
        return told

    def settle(self, run: Callable[[Task], TaskState] = lambda _: TaskState.RUNNING) -> World:
        """Run leader and agents until nothing changes; time stands still."""
        for _ in range(300):
            self.decide()
            if not self.agents(run) and not self.dirty:
                return self
        raise AssertionError("leader and agents never come to rest")

    def wait(self, seconds: float, run: Callable[[Task], TaskState] = lambda _: TaskState.RUNNING) -> World:
        """Let time pass, from one due time to the next."""
        end = self.now + seconds
        self.settle(run)
        while due := [at for at in self.agenda.values() if at <= end]:
            self.now = max(self.now, min(due))
            self.settle(run)
        self.now = end
        return self.settle(run)

    def lose(self, node_id: str) -> None:
        """A node's agent stops responding."""
        self.delete(SESSION, node_id)

    def regain(self, node_id: str) -> None:
        """The node's agent is back."""
        self.put((SESSION, node_id, NodeSession("m1")))

    def remove_node(self, node_id: str) -> None:
        """Remove a node, as a user does."""
        for kind in (SESSION, NODE, DESCRIPTION):
            self.delete(kind, node_id)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def tasks(self, service_id: str = "s1") -> list[Task]:
        """A service's tasks, by slot, oldest first."""
        return sorted(
            self.state.tasks_of(service_id).values(), key=lambda t: (t.slot, t.node_id, t.created_at, t.revision, t.id)
        )

    def going(self, service_id: str = "s1") -> list[Task]:
        """The tasks that are to run."""
        return [task for task in self.tasks(service_id) if task.desired in GOING]

    def running(self, service_id: str = "s1") -> list[Task]:
        """The tasks that are to run, and do run."""
        return [task for task in self.going(service_id) if self.state.task_state(task) is TaskState.RUNNING]

    def update(self, service_id: str = "s1") -> str:
        """The state of a service's update."""
        decision = self.state.service_decisions.get(service_id)
        return decision.update.state if decision and decision.update else ""
