"""What the orchestrator remembers from look to look only saves work: it plans what one without memory would plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from api.objects.decided import Task
from api.objects.kinds import KINDS
from api.states import TaskState
from manager.orchestrator import memory as orchestrator
from manager.orchestrator.orchestrator import Orchestrator
from manager.orchestrator.slots.slots import Slots
from manager.orchestrator.slots.update_tally import DOWN, UP, OutdatedSlots, SlotProgress, UpdateTally
from manager.orchestrator.tasks import repair
from manager.orchestrator.updates import update_progress
from manager.plan import Plan
from manager.store.interface import Put
from manager.store.state import Dirty, Event, State
from tests import make
from tests.manager.world import World, counter
from tests.sim.cluster import Cluster, Wrapper


def without_memory(state: State) -> State:
    """The same rows, and nothing else."""
    fresh = State()
    rows = [
        Event(kind, id, value, state.version(kind, id)) for kind in KINDS for id, value in state.table(kind).items()
    ]
    fresh.apply(rows, state.revision)
    return fresh


def said(state: State, plan: Plan) -> dict[tuple[str, str], Any]:
    """A plan's changes by key; new tasks by service and slot, for their names are drawn."""
    found: dict[tuple[str, str], Any] = {}
    for change in plan.changes:
        value = change.value if isinstance(change, Put) else None
        key = change.kind.name, change.id
        if isinstance(value, Task) and value.id not in state.tasks:
            key = value.service_id, str(value.slot or value.node_id)
            value = replace(value, id="")
        found[key] = value
    return found


def check(planner: Any, state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
    """The planner's plan, once it is known to be that of a new one."""
    expected: Plan = Orchestrator(counter("x"))(without_memory(state), orchestrator.Memory(), dirty, now)
    plan: Plan = planner(state, memory, dirty, now)
    assert said(state, plan) == said(state, expected)
    assert {key: at for key, at in plan.again.items() if at > now} == {
        key: at for key, at in expected.again.items() if at > now
    }
    return plan


class Checked(Wrapper):
    """Compares each plan of the orchestrator with that of a new one."""

    def __call__(self, state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        if self.number:
            return self.planner(state, memory, dirty, now)
        return check(self.planner, state, memory, dirty, now)


@pytest.mark.parametrize("seed", range(9))  # without the last one nobody would miss `certain` in the orchestrator
def test_whatever_befalls_the_cluster_nothing_is_overlooked(seed: int) -> None:
    Cluster(seed, Checked).run()


@pytest.mark.parametrize("parallelism", [0, 3])
@pytest.mark.parametrize("order", ["stop-first", "start-first"])
@pytest.mark.parametrize("delay", [0, 2])
def test_an_update_goes_the_same_way(parallelism: int, order: str, delay: int) -> None:
    w = checked_world(*make.decided_service("s1", replicas=12))
    how = make.update(parallelism, delay, "continue", order=order)
    w.change(replicas=12, image="web:2", update=how)
    w.wait(60, lambda task: TaskState.FAILED if task.slot == 5 and task.created_at < 1010 else TaskState.RUNNING)
    assert w.update() == "completed"
    assert {task.revision for task in w.running()} == {2}


def checked_world(*rows: Any) -> World:
    w = World(make.cluster(), *(make.node(f"n{i}") for i in range(4)), *rows).settle()
    inner = w.planners[0]
    w.planners = (lambda *args: check(inner, *args), *w.planners[1:])
    return w


def test_a_rollback_goes_the_same_way() -> None:
    w = checked_world(*make.decided_service("s1", replicas=6))
    w.change(replicas=6, image="web:2", update=make.update(2, 1, "rollback"))
    w.wait(90, lambda task: TaskState.FAILED if task.revision == 2 and task.slot > 3 else TaskState.RUNNING)
    assert w.update() == "rollback_completed"
    assert {task.revision for task in w.running()} == {1}


def test_a_slot_whose_old_task_is_on_a_lost_node_is_not_waited_for() -> None:
    w = checked_world(*make.decided_service("s1", replicas=8))
    before = {task.slot: task for task in w.running()}
    w.change(replicas=8, image="web:2", update=make.update(0, 0, "continue"))
    w.decide()  # all are told to stop, and none has
    w.lose(before[1].node_id)
    w.decide()
    w.tell(next(task for task in before.values() if task.node_id != before[1].node_id).id, TaskState.SHUTDOWN)
    w.decide()
    assert before[1].slot in {task.slot for task in w.going()}


def test_a_plan_that_was_not_written_is_made_again() -> None:
    w = checked_world(*make.decided_service("s1", replicas=5))
    w.change(replicas=5, image="web:2", update=make.update(2, 0, "continue"))
    for _ in range(40):
        dirty = make.everything(w.state)
        for _ in range(2):
            w.planners[0](w.state, w.memory, dirty, w.now)
        w.decide()
        w.agents()
    w.wait(10)
    assert w.update() == "completed"


def test_news_of_one_task_concerns_one_slot_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[object] = []

    def noting(room: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(room, name)

        def noted(service_pass: Any, slot: Any, *more: Any) -> Any:
            visited.append(slot)
            return inner(service_pass, slot, *more)

        monkeypatch.setattr(room, name, noted)

    w = World(make.cluster(), *(make.node(f"n{i}") for i in range(4)), *make.decided_service("s1", replicas=100))
    w.settle()
    w.change(replicas=100, image="web:2", update=make.update(0))
    w.decide()
    noting(update_progress, "slot_progress")
    noting(repair, "repair_slot")
    w.tell("t000007", TaskState.SHUTDOWN)
    w.decide()
    assert set(visited) == {w.state.tasks["t000007"].slot}
    assert len([task for task in w.going() if task.revision == 2]) == 1


class Watched(dict[Any, Any]):
    """A service's slots, and which of them somebody has looked into."""

    def __init__(self, slots: dict[Any, Any]) -> None:
        super().__init__(slots)
        self.seen: set[Any] = set()

    def __getitem__(self, slot: Any) -> Any:
        return self.seen.add(slot) or super().__getitem__(slot)

    def get(self, slot: Any, default: Any = None) -> Any:
        return self.seen.add(slot) or super().get(slot, default)

    def __iter__(self) -> Iterator[Any]:
        self.seen.update(super().keys())
        return super().__iter__()

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        return [super(Watched, self).__getitem__(slot) for slot in self]

    def items(self) -> Any:
        return list(zip(self, self.values(), strict=True))


def slots_seen(replicas: int, parallelism: int, order: str) -> list[int]:
    """How many slots each look at an update goes into, but for the first, which takes stock of all of them."""
    numbers = range(1, replicas + 1)
    w = World(
        make.cluster(), *(make.node(f"n{i}") for i in range(4)), *make.decided_service("s1", replicas=replicas),
        *(make.task(f"a{n}", slot=n, node_id=f"n{n % 4}", state=TaskState.ASSIGNED) for n in numbers),
        *(make.status(f"a{n}", timestamp=900.0, started_at=900.0) for n in numbers),
    ).settle()  # fmt: skip
    w.change(replicas=replicas, image="web:2", update=make.update(parallelism, 1, "continue", order=order))
    w.decide()
    own = w.state.index(Slots).of("s1")
    own.tasks, inner, found = (watched := Watched(own.tasks)), w.planners[0], []

    def look(*args: Any) -> Plan:
        watched.seen.clear()
        plan: Plan = inner(*args)
        found.append(len(watched.seen))
        return plan

    w.planners = (look, *w.planners[1:])
    w.wait(10, lambda task: TaskState.FAILED if task.revision == 2 and task.slot % 7 == 0 else TaskState.RUNNING)
    assert sum(task.revision == 2 for task in w.running()) >= 4 * parallelism
    return found


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_a_pass_of_an_update_of_five_thousand_slots_visits_as_many_as_one_of_a_hundred(
    parallelism: int, order: str
) -> None:
    few = slots_seen(100, parallelism, order)
    assert slots_seen(5_000, parallelism, order) == few
    assert 0 < max(few) <= 4 * parallelism


def test_waiting_slots_come_down_ones_first_and_by_number() -> None:
    waiting = OutdatedSlots()
    for slot, rank in {3: UP, 1: UP, 2: UP, 9: DOWN}.items():
        waiting.put(slot, rank)
    assert (waiting.first(2), list(waiting), len(waiting)) == ([9, 1], [9, 1, 2, 3], 4)
    waiting.put(9, 0)
    waiting.put(2, DOWN)
    waiting.put(3, 0)
    waiting.put(3, UP)
    assert (list(waiting), waiting.first(0), waiting.first(-3)) == ([2, 1, 3], [], [])


def test_a_tally_keeps_its_sums_while_slots_progress() -> None:
    tally = UpdateTally()
    assert sorted(tally.take_invalid({1, 2, 3}, 0.0)) == [1, 2, 3]
    tally.put(1, SlotProgress(done=True, since=50.0))
    tally.put(2, SlotProgress(done=True, busy=True, since=60.0, again=65.0))
    tally.put(3, SlotProgress(rank=UP))
    assert (tally.done, tally.busy, tally.last(), tally.again()) == (2, 1, 60.0, 65.0)
    tally.put(2, SlotProgress(busy=True, stuck=make.task("t2")[2]))
    tally.put(3, SlotProgress())
    assert (tally.done, tally.busy, tally.last(), tally.again()) == (1, 1, 50.0, None)
    assert (len(tally.waiting), tally.first_stuck()) == (0, make.task("t2")[2])
    tally.invalidate(1)
    assert tally.take_invalid({1, 2, 3}, 99.0) == [1]
