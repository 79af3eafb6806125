"""Placement in one round: a state of some rows, the scheduler's word on it, and where the tasks are then."""

from __future__ import annotations

from collections import Counter
from typing import Any

from api.states import TaskState
from manager.scheduler.scheduler import scheduler
from manager.store.state import State
from tests import make
from tests.manager.world import apply_plan

NOW = 1000.0


def pending(service_id: str, number: int, start: int = 1, **fields: Any) -> list[Any]:
    return [
        make.task(f"{service_id}-{slot:03}", service_id, slot=slot, state=TaskState.PENDING, **fields)
        for slot in range(start, start + number)
    ]


def schedule(*rows: Any) -> State:
    """A state of these rows after the scheduler's round; it is content with its own result."""
    return again(make.state(*rows))


def again(state: State) -> State:
    apply_plan(state, scheduler(state, make.everything(state), NOW).changes)
    assert not scheduler(state, make.everything(state), NOW).changes
    return state


def per_node(state: State, service_id: str = "") -> dict[str, int]:
    return dict(Counter(t.node_id for t in state.tasks.values() if t.node_id and service_id in ("", t.service_id)))


def messages(state: State) -> set[str]:
    return {task.message for task in state.tasks.values()}
