"""States of tasks and nodes, their order, and the table of legal moves.

A task only ever moves forward (swarmkit design/task_model.md). Managers move it up to ASSIGNED,
its agent from there on; ORPHANED and the desired states are the leader's.
"""

from __future__ import annotations

from enum import Enum


class TaskState(Enum):
    """Where a task is, or is wanted to be. Ordered: later in life compares greater."""

    NEW = "new"
    PENDING = "pending"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETE = "complete"
    SHUTDOWN = "shutdown"
    FAILED = "failed"
    REJECTED = "rejected"
    REMOVE = "remove"
    ORPHANED = "orphaned"

    rank: int
    is_terminal: bool
    """Whether a task in this state will never run (again)."""

    __hash__ = object.__hash__  # members are singletons; Enum's own is a call into Python, for each look into a table

    def __lt__(self, other: TaskState) -> bool:
        return self.rank < other.rank

    def __le__(self, other: TaskState) -> bool:
        return self.rank <= other.rank

    def __gt__(self, other: TaskState) -> bool:
        return self.rank > other.rank

    def __ge__(self, other: TaskState) -> bool:
        return self.rank >= other.rank


for _rank, _state in enumerate(TaskState):
    _state.rank = _rank
    _state.is_terminal = _rank > list(TaskState).index(TaskState.RUNNING)

_ALIVE = (
    TaskState.NEW, TaskState.PENDING, TaskState.ASSIGNED, TaskState.ACCEPTED,
    TaskState.PREPARING, TaskState.READY, TaskState.STARTING, TaskState.RUNNING,
)  # fmt: skip
_ENDS = (TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED, TaskState.REJECTED, TaskState.ORPHANED)

# A living task may skip states (an agent reports the newest only) but not go back; an ended one stays ended,
# but that the leader may call any task of a lost node orphaned.
LEGAL: dict[TaskState, frozenset[TaskState]] = {
    **{state: frozenset(s for s in _ALIVE if s > state) | frozenset(_ENDS) for state in _ALIVE},
    **{state: frozenset({TaskState.ORPHANED}) - {state} for state in (*_ENDS, TaskState.REMOVE)},
}


def is_legal(old: TaskState, new: TaskState) -> bool:
    """Whether a task may be seen in `new` after it was seen in `old`."""
    return old is new or new in LEGAL[old]


GOING = (TaskState.RUNNING, TaskState.COMPLETE)
"""Desired states of a task that is to do its work."""


class NodeState(Enum):
    """Whether a node's agent keeps its session."""

    UNKNOWN = "unknown"
    READY = "ready"
    DOWN = "down"
    DISCONNECTED = "disconnected"


class Availability(Enum):
    """Whether a node takes tasks: `pause` takes no new ones, `drain` gives up those it has."""

    ACTIVE = "active"
    PAUSE = "pause"
    DRAIN = "drain"


class Role(Enum):
    """What a node may do in the cluster."""

    WORKER = "worker"
    MANAGER = "manager"
