"""A plan while it is being made: what a planner has put so far, on top of the state it reads.

All three planners use it. Invariant: the finished plan holds nothing that the state has already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec.structs import replace

from api.codec import Value
from api.objects.decided import Task
from api.objects.kinds import STATUS, TASK, Kind
from api.service.resources import GenericResource
from api.states import TaskState
from manager.store.interface import Change, Delete, Plan, Put
from manager.store.state import State

T = TypeVar("T", bound=Value)


class Draft:
    """Collects changes by key; the last word on a key counts."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self._changes: dict[tuple[str, str], Change] = {}
        self._again: dict[tuple[str, str], float] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed so far."""
        return not self._changes

    def put(self, kind: Kind[Any], id: str, value: Value) -> None:
        """Write a value, if it differs from what is stored."""
        if self.state.table(kind).get(id) == value:
            self._changes.pop((kind.name, id), None)
        else:
            self._changes[kind.name, id] = Put(kind, id, value)

    def delete(self, kind: Kind[Any], id: str) -> None:
        """Delete a key, if it is there."""
        if id in self.state.table(kind):
            self._changes[kind.name, id] = Delete(kind, id)
        else:
            self._changes.pop((kind.name, id), None)

    def get(self, kind: Kind[T], id: str) -> T | None:
        """A value as it will be."""
        change = self._changes.get((kind.name, id))
        if change is None:
            return self.state.table(kind).get(id)
        return change.value if isinstance(change, Put) else None  # type: ignore[return-value]

    def put_task(self, task: Task, **changes: Any) -> Task:
        """Write a changed task; `updated_at` moves with anything but the message."""
        if changes.keys() - {"message"}:
            changes["updated_at"] = self.now
        task = replace(task, **changes)
        self.put(TASK, task.id, task)
        return task

    def assign_task(self, task: Task, node_id: str, generic_resources: list[GenericResource]) -> Task:
        """Give a pending task its node. It is known to differ, so nothing is compared."""
        task = replace(
            task, node_id=node_id, state=TaskState.ASSIGNED, message="", updated_at=self.now,
            generic_resources=generic_resources,
        )  # fmt: skip
        self._changes[TASK.name, task.id] = Put(TASK, task.id, task)
        return task

    def assign_tasks(self, tasks: Iterable[Task], node_ids: Iterable[str]) -> None:
        """The same for many, which get nothing of generic resources."""
        changes, name, now, assigned = self._changes, TASK.name, self.now, TaskState.ASSIGNED
        for task, node_id in zip(tasks, node_ids, strict=True):
            placed = replace(task, node_id=node_id, state=assigned, message="", updated_at=now)
            changes[name, task.id] = Put(TASK, task.id, placed)

    def delete_task(self, task_id: str) -> None:
        """Delete a task with its status."""
        self.delete(TASK, task_id)
        self.delete(STATUS, task_id)

    def again(self, kind: str, id: str, at: float) -> None:
        """Look at (kind, id) again at that time, or earlier if that was asked for already."""
        self._again[kind, id] = min(at, self._again.get((kind, id), at))

    def plan(self) -> Plan:
        """What was collected."""
        return Plan(list(self._changes.values()), self._again)
