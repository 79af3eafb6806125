"""State: an indexed copy of everything stored, advanced by changes in the order of their revisions.

Invariant: it changes only between awaits of its readers (one thread), so a synchronous planner sees a consistent
snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from api.codec import Value
from api.objects.decided import NetworkDecision, NodeDecision, Revision, ServiceDecision, Task  # fmt: skip
from api.objects.kinds import (
    CLUSTER,
    DEFAULT_CLUSTER,
    DESCRIPTION,
    KINDS,
    MEMBER,
    NETWORK,
    NETWORK_DECISION,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    SESSION,
    STATUS,
    SUSPICIONS,
    TASK,
    Kind,
    revision_id,
)
from api.objects.observed import LiveManager, NodeDescription, NodeSession, Suspicions, TaskStatus
from api.objects.wanted import Cluster, Network, Node, Service
from api.service.service_spec import TaskSpec
from api.states import GOING, NodeState, Role, TaskState

T = TypeVar("T", bound=Value)
_EMPTY: Mapping[Any, Any] = {}


class Event(msgspec.Struct, frozen=True, gc=False):
    """One key's change. `new` is None for a deletion; `version` is the store's revision of the change."""

    kind: Kind[Any]
    id: str
    new: Value | None
    version: int
    old: Value | None = None
    """Filled in by the state."""


class Index(Protocol):
    """Derived from the state: built from all of it once, then updated with each change. Its readers never change it.

    It must depend on the state only. What depends on a clock or on earlier reads belongs into the reader's memory.
    """

    def follow(self, event: Event) -> None:
        """Apply a change, which the state already has; `event.old` is filled in."""
        ...


X = TypeVar("X", bound=Index)
Observer = Callable[[Event], object]


@dataclass(slots=True)
class Dirty:
    """Ids of what changed since the last `take`. A service is dirty when it or any of its tasks changed, etc."""

    services: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    """Tasks whose decision or status changed, or that were deleted."""
    nodes: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    cluster: bool = False
    gone: dict[str, Task | Service] = field(default_factory=dict)
    """By id: the services and tasks that were deleted, as they were last."""

    def __bool__(self) -> bool:
        return bool(self.services or self.tasks or self.nodes or self.networks or self.cluster)

    def take(self) -> Dirty:
        """Returns what was collected; this object is empty afterwards."""
        taken = Dirty(self.services, self.tasks, self.nodes, self.networks, self.cluster, self.gone)
        self.services, self.tasks, self.nodes, self.networks, self.cluster = set(), set(), set(), set(), False
        self.gone = {}
        return taken

    def add(self, kind: str, id: str) -> None:
        """Mark one object: kind is "services", "tasks", "nodes" or "networks"."""
        getattr(self, kind).add(id)

    def merge(self, other: Dirty) -> None:
        """Add what was taken, after a commit that failed."""
        self.services |= other.services
        self.tasks |= other.tasks
        self.nodes |= other.nodes
        self.networks |= other.networks
        self.cluster |= other.cluster
        self.gone |= other.gone


class State:
    """The state. Read it through its properties and indexes; only a store calls `apply`."""

    def __init__(self) -> None:
        self.revision = 0
        self._tables: dict[str, dict[str, Any]] = {kind.name: {} for kind in KINDS}
        self._versions: dict[str, dict[str, int]] = {kind.name: {} for kind in KINDS}
        self._tasks: dict[str, Task] = self._tables[TASK.name]
        self._statuses: dict[str, TaskStatus] = self._tables[STATUS.name]
        self._tasks_of_service: dict[str, dict[str, Task]] = defaultdict(dict)
        self._tasks_on_node: dict[str, dict[str, Task]] = defaultdict(dict)
        self._tasks_in: dict[TaskState, dict[str, Task]] = defaultdict(dict)
        self._revisions_of: dict[str, dict[int, Revision]] = defaultdict(dict)
        self._service_by_name: dict[str, str] = {}
        self._network_by_name: dict[str, str] = {}
        self._indexes: dict[Any, Index] = {}
        self._observers: list[Observer] = []

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────

    def table(self, kind: Kind[T]) -> Mapping[str, T]:
        """All objects of a kind, by id."""
        return self._tables[kind.name]

    def version(self, kind: Kind[Any], id: str) -> int:
        """The revision of the object's last change (its `Version.Index`); 0 when it does not exist."""
        return self._versions[kind.name].get(id, 0)

    @property
    def cluster(self) -> Cluster | None:
        """The cluster object; None before the cluster is created."""
        return self.table(CLUSTER).get(DEFAULT_CLUSTER)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Wanted nodes."""
        return self.table(NODE)

    @property
    def services(self) -> Mapping[str, Service]:
        """Wanted services."""
        return self.table(SERVICE)

    @property
    def networks(self) -> Mapping[str, Network]:
        """Wanted networks, including those being removed."""
        return self.table(NETWORK)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Decided tasks."""
        return self._tasks

    @property
    def statuses(self) -> Mapping[str, TaskStatus]:
        """Observed task statuses."""
        return self._statuses

    @property
    def descriptions(self) -> Mapping[str, NodeDescription]:
        """Observed node descriptions."""
        return self.table(DESCRIPTION)

    @property
    def sessions(self) -> Mapping[str, NodeSession]:
        """Sessions of nodes with a living agent."""
        return self.table(SESSION)

    @property
    def members(self) -> Mapping[str, LiveManager]:
        """Liveness keys of managers."""
        return self.table(MEMBER)

    @property
    def network_decisions(self) -> Mapping[str, NetworkDecision]:
        """Decisions on networks: subnets and VNIs."""
        return self.table(NETWORK_DECISION)

    @property
    def service_decisions(self) -> Mapping[str, ServiceDecision]:
        """Decisions on services: VIPs, ports and update status."""
        return self.table(SERVICE_DECISION)

    @property
    def node_decisions(self) -> Mapping[str, NodeDecision]:
        """Decisions on nodes: states and gateways."""
        return self.table(NODE_DECISION)

    # ── indexes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def tasks_of(self, service_id: str) -> Mapping[str, Task]:
        """A service's tasks, by id."""
        return self._tasks_of_service.get(service_id, _EMPTY)

    def tasks_on(self, node_id: str) -> Mapping[str, Task]:
        """A node's tasks, by id."""
        return self._tasks_on_node.get(node_id, _EMPTY)

    def tasks_in(self, state: TaskState) -> Mapping[str, Task]:
        """Tasks in a state that managers set (NEW, PENDING, ASSIGNED), by id."""
        return self._tasks_in.get(state, _EMPTY)

    def revisions_of(self, service_id: str) -> Mapping[int, Revision]:
        """A service's stored revisions, by number."""
        return self._revisions_of.get(service_id, _EMPTY)

    def service_named(self, name: str) -> Service | None:
        """The service of that exact name; None when there is none."""
        return self.services.get(self._service_by_name.get(name, ""))

    def network_named(self, name: str) -> Network | None:
        """The network of that exact name that is not being removed; None when there is none."""
        return self.networks.get(self._network_by_name.get(name, ""))

    def index(self, make: Callable[[State], X]) -> X:
        """The index that `make` builds from this state; built at the first request, then updated with each change."""
        found = self._indexes.get(make)
        if found is None:
            found = self._indexes[make] = make(self)
        return found  # type: ignore[return-value]  # the key is its maker

    def observe(self, observer: Observer) -> None:
        """Call the observer with every further change, after the indexes have been updated."""
        self._observers.append(observer)

    # ── joins ────────────────────────────────────────────────────────────────────────────────────────────────────

    def task_state(self, task: Task) -> TaskState:
        """A task's state: as reported by its agent, else as decided by the leader. ORPHANED is the leader's
        decision."""
        status = self._statuses.get(task.id)
        if status is None or task.state is TaskState.ORPHANED:
            return task.state
        return status.state

    def has_ended(self, task: Task) -> bool:
        """Whether the task cannot be running: it has ended, or was stopped before it was assigned to a node."""
        if self.task_state(task).is_terminal:
            return True
        return task.state < TaskState.ASSIGNED and task.desired not in GOING

    def revision_of(self, task: Task) -> Revision | None:
        """The revision of a task; None once it was deleted."""
        return self.table(REVISION).get(revision_id(task.service_id, task.revision))

    def task_spec(self, task: Task) -> TaskSpec | None:
        """The task template of the task's revision; None once the revision was deleted."""
        revision = self.revision_of(task)
        return revision.spec.task_template if revision else None

    def is_manager(self, node_id: str) -> bool:
        """Whether the node's wanted role is manager."""
        node = self.nodes.get(node_id)
        return node is not None and node.spec.role is Role.MANAGER

    def node_state(self, node_id: str) -> NodeState:
        """The node's state, as decided by the leader."""
        decision = self.node_decisions.get(node_id)
        return decision.state if decision else NodeState.UNKNOWN

    def concerned(self, event: Event) -> set[str]:
        """The nodes that a change of a manager's suspicions may affect; it can also make other managers' suspicions
        count."""
        rows = [event.old, event.new, *self.table(SUSPICIONS).values()]
        return {id for row in rows if isinstance(row, Suspicions) for id in row.suspected}

    # ── advancing ────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, events: Iterable[Event], revision: int, trackers: Iterable[Dirty] = ()) -> list[Event]:
        """Advance to `revision`, and mark what changed in the trackers. Returns the events with `old` filled in."""
        applied = [self._apply_one(event) for event in events]
        self.revision = max(self.revision, revision)
        for dirty in trackers:
            for event in applied:
                self._mark(dirty, event)
        return applied

    def mark_all(self, dirty: Dirty) -> None:
        """Mark all objects as dirty."""
        dirty.services.update(self.services, self._tasks_of_service, self._revisions_of, self.service_decisions)
        dirty.tasks.update(self.tasks, self.statuses)
        dirty.nodes.update(self.nodes, self.sessions, self.node_decisions, self.descriptions)
        dirty.networks.update(self.networks, self.network_decisions)
        dirty.cluster = True

    def replace_all(self, rows: Sequence[Event], revision: int) -> list[Event]:
        """The events that change this state into exactly `rows` (for a new list after a compaction)."""
        seen = {(row.kind.name, row.id) for row in rows}
        gone = [
            Event(kind, id, None, revision)
            for kind in KINDS for id in self._tables[kind.name] if (kind.name, id) not in seen
        ]  # fmt: skip
        changed = [row for row in rows if self.version(row.kind, row.id) != row.version]
        return [*gone, *changed]

    def _apply_one(self, event: Event) -> Event:
        table, versions = self._tables[event.kind.name], self._versions[event.kind.name]
        old = table.get(event.id)
        if event.new is None:
            table.pop(event.id, None)
            versions.pop(event.id, None)
        else:
            table[event.id] = event.new
            versions[event.id] = event.version
        self._reindex(event.kind, event.id, old, event.new)
        applied = Event(event.kind, event.id, event.new, event.version, old)
        for index in self._indexes.values():
            index.follow(applied)
        for observer in self._observers:
            observer(applied)
        return applied

    def _reindex(self, kind: Kind[Any], id: str, old: Any, new: Any) -> None:
        if kind is TASK:
            self._reindex_task(old, new)
        elif kind is REVISION:
            if old is not None:
                _drop(self._revisions_of, old.service_id, old.number)
            if new is not None:
                self._revisions_of[new.service_id][new.number] = new
        elif kind is SERVICE:
            _rename(self._service_by_name, id, old and old.spec.name, new and new.spec.name)
        elif kind is NETWORK:
            shown = new.spec.name if new is not None and not new.removed else None
            _rename(self._network_by_name, id, old and old.spec.name, shown)

    def _reindex_task(self, old: Task | None, new: Task | None) -> None:
        if old is not None:
            if new is None or new.service_id != old.service_id:
                _drop(self._tasks_of_service, old.service_id, old.id)
            if new is None or new.node_id != old.node_id:
                _drop(self._tasks_on_node, old.node_id, old.id)
            if new is None or new.state is not old.state:
                _drop(self._tasks_in, old.state, old.id)
        if new is not None:
            self._tasks_of_service[new.service_id][new.id] = new
            self._tasks_in[new.state][new.id] = new
            if new.node_id:
                self._tasks_on_node[new.node_id][new.id] = new

    def _mark(self, dirty: Dirty, event: Event) -> None:
        kind, id = event.kind, event.id
        if event.new is None and isinstance(event.old, Task | Service):
            dirty.gone[id] = event.old
        if kind is TASK or kind is STATUS:
            dirty.tasks.add(id)
            for task in (event.old, event.new) if kind is TASK else (self.tasks.get(id),):
                if isinstance(task, Task):
                    dirty.services.add(task.service_id)
                    if task.node_id:
                        dirty.nodes.add(task.node_id)
        elif kind in (SERVICE, SERVICE_DECISION):
            dirty.services.add(id)
        elif kind is REVISION:
            dirty.services.add(id.rpartition(".")[0])
        elif kind in (NODE, NODE_DECISION, DESCRIPTION, SESSION):
            dirty.nodes.add(id)
        elif kind in (NETWORK, NETWORK_DECISION):
            dirty.networks.add(id)
        elif kind in (CLUSTER, MEMBER):
            dirty.cluster = True
        elif kind is SUSPICIONS:
            dirty.nodes |= self.concerned(event)


def _drop(index: dict[Any, dict[Any, Any]], outer: Any, inner: Any) -> None:
    if (row := index.get(outer)) is not None:
        row.pop(inner, None)
        if not row:
            del index[outer]


def _rename(index: dict[str, str], id: str, old: str | None, new: str | None) -> None:
    if old is not None and index.get(old) == id:
        del index[old]
    if new is not None:
        index[new] = id
