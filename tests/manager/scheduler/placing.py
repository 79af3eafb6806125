"""Placement in one round: a state of some rows, the scheduler's word on it, and where the tasks are then."""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from api.reasons.reason_text import text
from api.states import TaskState
from manager.plan import Plan
from manager.scheduler.memory import Memory
from manager.scheduler.scheduler import scheduler
from manager.store.state import State
from tests import make
from tests.manager.world import apply_plan

NOW = 1000.0
_memories: WeakKeyDictionary[State, Memory] = WeakKeyDictionary()


def plan(state: State) -> Plan:
    """The scheduler's plan, with the memory it has of this state."""
    return scheduler(state, _memories.setdefault(state, Memory()), make.everything(state), NOW)


def plan_as_a_new_leader(state: State) -> Plan:
    """The same with an empty memory."""
    return scheduler(state, Memory(), make.everything(state), NOW)


def pending(service_id: str, number: int, start: int = 1, **fields: Any) -> list[Any]:
    return [
        make.task(f"{service_id}-{slot:03}", service_id, slot=slot, state=TaskState.PENDING, **fields)
        for slot in range(start, start + number)
    ]


def schedule(*rows: Any) -> State:
    """A state of these rows after the scheduler's round; it is content with its own result."""
    return again(make.state(*rows))


def again(state: State) -> State:
    expected, made = plan_as_a_new_leader(state), plan(state)
    assert list(made.changes) == list(expected.changes)
    apply_plan(state, made.changes)
    assert not plan(state).changes
    return state


def per_node(state: State, service_id: str = "") -> dict[str, int]:
    return dict(Counter(t.node_id for t in state.tasks.values() if t.node_id and service_id in ("", t.service_id)))


def messages(state: State) -> set[str]:
    return {text(task.reason) for task in state.tasks.values()}
