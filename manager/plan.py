"""What a planner is, what it returns, and a plan while it is being made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from api.codec import Value
from api.objects.decided import Task
from api.objects.kinds import STATUS, TASK, Kind
from api.service.resources import GenericResource
from api.states import TaskState
from manager.store.interface import Change, Delete, Put
from manager.store.state import Dirty, State

T = TypeVar("T", bound=Value)
M_contra = TypeVar("M_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a planner wants. Applied to their own result, planners want nothing."""

    changes: Sequence[Change] = ()
    again: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Look at (kind name, id) again at that time, even if nothing moves. Kind names as in Dirty."""


class Planner(Protocol[M_contra]):
    """A pure function: no clock, no random but the ids it is handed, no IO, and nothing kept but in `memory`.

    `memory` saves work: what a planner found out in earlier rounds of this term, so that it looks at what has changed
    only. It may be empty at any time (a new leader's is), and the plan is the same then, only dearer. What it holds
    beyond that (who had an address last, where tasks have failed) decides among choices that are equally right.

    Planners run one after the other in one round on one state, and must not change the same key in one round
    (the store refuses such a commit): orchestrator and allocator act on different kinds or states of tasks.
    """

    def __call__(self, state: State, memory: M_contra, dirty: Dirty, now: float) -> Plan:
        """What should change, given what is dirty since the last round."""
        ...


class PlanBuilder:
    """A plan while it is being made, on top of the state. The last word on a key counts.

    The finished plan holds nothing that the state has already.
    """

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
        """Write a changed task; `updated_at` moves with anything but the reason."""
        if changes.keys() - {"reason"}:
            changes["updated_at"] = self.now
        task = replace(task, **changes)
        self.put(TASK, task.id, task)
        return task

    def assign_task(self, task: Task, node_id: str, generic_resources: list[GenericResource]) -> Task:
        """Give a pending task its node. It is known to differ, so nothing is compared."""
        task = replace(
            task, node_id=node_id, state=TaskState.ASSIGNED, reason=None, updated_at=self.now,
            generic_resources=generic_resources,
        )  # fmt: skip
        self._changes[TASK.name, task.id] = Put(TASK, task.id, task)
        return task

    def assign_tasks(self, tasks: Iterable[Task], node_ids: Iterable[str]) -> None:
        """The same for many, which get nothing of generic resources."""
        changes, name, now, assigned = self._changes, TASK.name, self.now, TaskState.ASSIGNED
        for task, node_id in zip(tasks, node_ids, strict=True):
            placed = replace(task, node_id=node_id, state=assigned, reason=None, updated_at=now)
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
