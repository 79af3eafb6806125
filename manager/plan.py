"""Planner and plan: the interface of planners, what they return, and the builder of a plan."""

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
    """The changes that a planner asks for. A planner asks for none on a state to which its plan was applied."""

    changes: Sequence[Change] = ()
    again: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """By (kind name, id): when to plan the object again, even if nothing changes. Kind names as in Dirty."""


class Planner(Protocol[M_contra]):
    """A pure function: no clock, no randomness except the ids it is given, no IO, and no memory except `memory`.

    `memory` saves work: it holds results of earlier rounds of this term, so that a planner handles only what has
    changed. It may be empty at any time (as for a new leader); the plan is then the same, only slower to compute. The
    rest of it (the last holder of an address, where tasks have failed) decides only between choices that are equally
    correct.

    Planners run one after the other in one round on one state, and must not change the same key in one round
    (the store refuses such a commit): orchestrator and allocator act on different kinds or states of tasks.
    """

    def __call__(self, state: State, memory: M_contra, dirty: Dirty, now: float) -> Plan:
        """The plan for the state, given what is dirty since the last round."""
        ...


class PlanBuilder:
    """Collects the changes of a plan on top of the state. The last change of a key counts.

    The plan contains no change that the state already has.
    """

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self._changes: dict[tuple[str, str], Change] = {}
        self._again: dict[tuple[str, str], float] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there are no changes so far."""
        return not self._changes

    def put(self, kind: Kind[Any], id: str, value: Value) -> None:
        """Write a value, if it differs from what is stored."""
        if self.state.table(kind).get(id) == value:
            self._changes.pop((kind.name, id), None)
        else:
            self._changes[kind.name, id] = Put(kind, id, value)

    def delete(self, kind: Kind[Any], id: str) -> None:
        """Delete a key, if it exists."""
        if id in self.state.table(kind):
            self._changes[kind.name, id] = Delete(kind, id)
        else:
            self._changes.pop((kind.name, id), None)

    def get(self, kind: Kind[T], id: str) -> T | None:
        """A value as it will be after the plan; None if there is none."""
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
        """Assign a pending task to a node. The task always changes, so nothing is compared."""
        task = replace(
            task, node_id=node_id, state=TaskState.ASSIGNED, reason=None, updated_at=self.now,
            generic_resources=generic_resources,
        )  # fmt: skip
        self._changes[TASK.name, task.id] = Put(TASK, task.id, task)
        return task

    def assign_tasks(self, tasks: Iterable[Task], node_ids: Iterable[str]) -> None:
        """The same for many tasks, without generic resources."""
        changes, name, now, assigned = self._changes, TASK.name, self.now, TaskState.ASSIGNED
        for task, node_id in zip(tasks, node_ids, strict=True):
            placed = replace(task, node_id=node_id, state=assigned, reason=None, updated_at=now)
            changes[name, task.id] = Put(TASK, task.id, placed)

    def delete_task(self, task_id: str) -> None:
        """Delete a task with its status."""
        self.delete(TASK, task_id)
        self.delete(STATUS, task_id)

    def again(self, kind: str, id: str, at: float) -> None:
        """Plan (kind, id) again at that time, or earlier if that was already asked for."""
        self._again[kind, id] = min(at, self._again.get((kind, id), at))

    def plan(self) -> Plan:
        """The plan with the collected changes."""
        return Plan(list(self._changes.values()), self._again)
