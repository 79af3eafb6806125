"""The slots of all services: an index of the state, so that a pass costs only the slots that are not converged.

A slot is what one task at a time fills: a replica number, or a node for global services. It is *converged* when it has
exactly one task that is to run, that task has not ended, and its other tasks are history within the limit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Set
from typing import TypeVar

from msgspec.structs import replace

from api.objects.decided import Task
from api.objects.kinds import CLUSTER, DESCRIPTION, NODE, NODE_DECISION, STATUS, TASK
from api.objects.observed import NodeDescription
from api.states import GOING, TaskState
from manager.orchestrator.slots.slot_numbers import SlotNumbers
from manager.orchestrator.slots.update_tally import SlotKey as SlotKey
from manager.store.state import Event, State

K = TypeVar("K", bound=Hashable)


def slot_of(task: Task) -> SlotKey:
    """The slot of a task: its replica number, or the node's id for a task bound to a node."""
    return task.slot or task.node_id


def by_number(slots: Iterable[SlotKey]) -> list[SlotKey]:
    """Slots sorted by number, then by node id."""
    return sorted(slots, key=lambda slot: (isinstance(slot, str), slot))


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Tasks sorted by age, oldest first."""
    tasks = list(tasks)
    if len(tasks) > 1:
        tasks.sort(key=lambda task: (task.created_at, task.id))
    return tasks


class ServiceSlots:
    """One service's slots."""

    def __init__(self) -> None:
        self.tasks: dict[SlotKey, dict[str, Task]] = {}
        self.in_use: set[SlotKey] = set()
        """Slots with a task that is not to be removed."""
        self.numbers = SlotNumbers()
        """The slots in use that are replica numbers."""
        self.unconverged: set[SlotKey] = set()
        self.going: dict[int, set[SlotKey]] = {}
        """By revision: slots with a task of that revision that is to run."""
        self.moving: set[SlotKey] = set()
        """Slots with a task that is to take over from another one."""
        self.revisions: Counter[int] = Counter()
        """Number of tasks by revision."""
        self.nodes: Counter[str] = Counter()
        """Number of tasks that are to run, by node."""

    def use(self, slot: SlotKey, used: bool) -> None:
        """Record whether a slot is in use."""
        _set_member(self.in_use, slot, used)
        if isinstance(slot, int):
            (self.numbers.take if used else self.numbers.give)(slot)


class Slots:
    """All services' slots; an index of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.nodes_seen = 0
        """A version: the number of node changes that may affect the tasks on them."""
        self.moving: set[str] = set()
        """Services with slots in `ServiceSlots.moving`."""
        self._services: dict[str, ServiceSlots] = {}
        self._on_node: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for task in state.tasks.values():
            self._file(task)
        for service_id, service in self._services.items():
            for slot in service.tasks:
                self._classify(service_id, slot)

    def of(self, service_id: str) -> ServiceSlots:
        """A service's slots; empty ones for a service without tasks."""
        return self._services.get(service_id) or ServiceSlots()

    def services_on(self, node_id: str) -> Set[str]:
        """Services with a task that is to run on the node."""
        return self._on_node[node_id].keys() if node_id in self._on_node else frozenset()

    def follow(self, event: Event) -> None:
        """Update for a change of a task, its status, a node or the cluster."""
        if event.kind is TASK:
            changed = set()
            for task, file in ((event.old, self._unfile), (event.new, self._file)):
                if isinstance(task, Task):
                    file(task)
                    changed.add((task.service_id, slot_of(task)))
            for service_id, slot in changed:
                self._classify(service_id, slot)
        elif event.kind is STATUS:
            if task := self._state.tasks.get(event.id):
                self._classify(task.service_id, slot_of(task))
        elif event.kind in (NODE, NODE_DECISION) or (event.kind is DESCRIPTION and _changes_more_than_images(event)):
            self.nodes_seen += 1
        elif event.kind is CLUSTER:  # the history limit may have changed
            for service_id, service in self._services.items():
                for slot in service.tasks:
                    self._classify(service_id, slot)

    def _file(self, task: Task) -> None:
        if (service := self._services.get(task.service_id)) is None:
            service = self._services[task.service_id] = ServiceSlots()
        service.tasks.setdefault(slot_of(task), {})[task.id] = task
        service.revisions[task.revision] += 1
        if task.node_id and task.desired in GOING:
            self._on_node[task.node_id][task.service_id] += 1
            service.nodes[task.node_id] += 1

    def _unfile(self, task: Task) -> None:
        service, slot = self._services[task.service_id], slot_of(task)
        del service.tasks[slot][task.id]
        _take_one(service.revisions, task.revision)
        if (slots := service.going.get(task.revision)) is not None:
            slots.discard(slot)  # _classify puts it back if another of its tasks is to run
            if not slots:
                del service.going[task.revision]
        if task.node_id and task.desired in GOING:
            _take_one(self._on_node[task.node_id], task.service_id)
            _take_one(service.nodes, task.node_id)
            if not self._on_node[task.node_id]:
                del self._on_node[task.node_id]

    def _classify(self, service_id: str, slot: SlotKey) -> None:
        service = self._services.get(service_id)
        if service is None:
            return
        tasks = service.tasks.get(slot)
        if not tasks:
            service.tasks.pop(slot, None)
            service.use(slot, False)
            service.unconverged.discard(slot)
            self._move(service_id, service, slot, False)
            if not service.tasks:
                del self._services[service_id]
            return
        service.use(slot, any(task.desired is not TaskState.REMOVE for task in tasks.values()))
        _set_member(service.unconverged, slot, not self._is_converged(tasks))
        moves = any(task.replaces and task.desired in GOING for task in tasks.values())
        self._move(service_id, service, slot, moves)
        for task in tasks.values():
            if task.desired in GOING:
                service.going.setdefault(task.revision, set()).add(slot)

    def _move(self, service_id: str, service: ServiceSlots, slot: SlotKey, moves: bool) -> None:
        _set_member(service.moving, slot, moves)
        if service.moving:
            self.moving.add(service_id)
        else:
            self.moving.discard(service_id)

    def _is_converged(self, tasks: dict[str, Task]) -> bool:
        going = 0
        for task in tasks.values():
            if task.desired is TaskState.REMOVE:
                return False
            if task.desired in GOING:
                going += 1
                if self._state.has_ended(task) and not is_done(self._state, task):
                    return False
            elif not self._state.has_ended(task):
                return False
        return going == 1 and not overfull(self._state, len(tasks))


def _changes_more_than_images(event: Event) -> bool:
    """Whether more than the images in a node's description changed; these change all the time."""
    old, new = event.old, event.new
    if not isinstance(old, NodeDescription) or not isinstance(new, NodeDescription):
        return True
    return replace(old, images=[], tags={}) != replace(new, images=[], tags={})


def is_done(state: State, task: Task) -> bool:
    """Whether the task belongs to a job and has completed."""
    return task.desired is TaskState.COMPLETE and state.task_state(task) is TaskState.COMPLETE


def overfull(state: State, count: int) -> bool:
    """Whether a slot with `count` tasks exceeds the history limit."""
    limit = history_limit(state)
    return limit >= 0 and count > max(limit, 1)


def history_limit(state: State) -> int:
    """Tasks kept per slot, including the running one; negative: all."""
    return state.cluster.task_history if state.cluster else -1


def _set_member(group: set[SlotKey], slot: SlotKey, member: bool) -> None:
    if member:
        group.add(slot)
    else:
        group.discard(slot)


def _take_one(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
