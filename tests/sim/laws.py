"""What must hold in a simulated cluster after every step, told apart by name so that tests can say which one broke."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from api.objects import Task
from api.schedule import schedule_of
from api.specs import ServiceSpec, UpdateConfig
from api.states import GOING, Availability, NodeState, TaskState, is_legal
from manager.orchestrator.slots import slot_of
from manager.orchestrator.update import parallelism as slots_at_once
from manager.store.state import State
from tests.manager.invariants import check

_DESIRED = {TaskState.RUNNING: 0, TaskState.COMPLETE: 0, TaskState.SHUTDOWN: 1, TaskState.REMOVE: 2}
_slots_at_once = slots_at_once
_FORCED = ("assigned node no longer meets constraints", "the node is down", "the node was removed")
Before = dict[str, tuple[Task, TaskState]]
"""Every task before a commit, and where it was."""


class Broken(AssertionError):
    """A law does not hold. `law` is its name."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law


def demand(truth: bool, law: str, what: str) -> None:
    """Raise Broken unless it is true."""
    if not truth:
        raise Broken(law, what)


def held_once(state: State) -> None:
    """Addresses, VIPs, published ports, VNIs; per node generic resources, memory and host ports."""
    try:
        check(state)
    except AssertionError as error:
        raise Broken("held once", str(error)) from None
    for node_id, seen in state.descriptions.items():
        tasks = [task for task in state.tasks_on(node_id).values() if not state.has_ended(task)]
        named = Counter(
            given.named_resource_spec.value
            for task in tasks for given in task.generic_resources if given.named_resource_spec
        )  # fmt: skip
        demand(not named or max(named.values()) == 1, "generic resources", f"{node_id}: {named}")
        ports: Counter[int] = Counter()
        memory = 0
        for task in tasks:
            spec = state.revisions_of(task.service_id)[task.revision].spec if task.service_id else ServiceSpec()
            own = spec.endpoint_spec.ports if spec.endpoint_spec else []
            ports.update(port.published_port for port in own if port.publish_mode == "host")
            if (
                (resources := spec.task_template.resources)
                and resources.reservations
                and task.state >= TaskState.ASSIGNED
            ):
                memory += resources.reservations.memory_bytes
        demand(not ports or max(ports.values()) == 1, "host ports", f"{node_id}: {ports}")
        if seen.resources and seen.resources.reservations:
            demand(memory <= seen.resources.reservations.memory_bytes, "resources", f"{node_id}: {memory}")


def legal_moves(before: Before, state: State) -> None:
    """Tasks only ever move forward, and what they are does not change."""
    for id, (old, old_state) in before.items():
        new = state.tasks.get(id)
        if new is old and state.task_state(old) is old_state:
            continue
        if new is None:
            ended = old_state.is_terminal or old_state < TaskState.ASSIGNED
            demand(ended, "legal moves", f"{id} was deleted in {old_state.value}")
            continue
        new_state = state.task_state(new)
        demand(is_legal(old_state, new_state), "legal moves", f"{id}: {old_state.value} to {new_state.value}")
        demand(_DESIRED[old.desired] <= _DESIRED[new.desired], "legal moves", f"{id}: {old.desired} to {new.desired}")
        same = _identity(old) == _identity(new) and old.node_id in ("", new.node_id)
        demand(same, "legal moves", f"{id} is another: {old} {new}")


def _identity(task: Task) -> tuple[object, ...]:
    return task.service_id, task.revision, task.slot, task.job_iteration


def one_per_slot(state: State, running: set[str], excused: set[str], start_first: set[str]) -> None:
    """At most one container runs in a slot; two while one takes over from the other. Of hosts that could be told."""
    slots: defaultdict[tuple[str, object], list[Task]] = defaultdict(list)
    for id in running - excused:
        task = state.tasks.get(id)
        demand(task is not None, "one per slot", f"{id} runs and is forgotten")
        if task is not None and task.desired is not TaskState.REMOVE:
            slots[task.service_id, slot_of(task)].append(task)
    for (service_id, slot), tasks in slots.items():
        if len(tasks) == 1:
            continue
        most = 2 if service_id in start_first else 1
        demand(len(tasks) <= most, "one per slot", f"{service_id} slot {slot}: {[task.id for task in tasks]}")


def available(before: Before, state: State, start_first: set[str]) -> None:
    """What the leader stops of its own will leaves enough: all that ran (start-first), or all but the parallelism."""
    stopped: defaultdict[str, list[Task]] = defaultdict(list)
    for id, (old, was) in before.items():
        new = state.tasks.get(id)
        if new is None or was is not TaskState.RUNNING or old.desired is not TaskState.RUNNING:
            continue
        if new.desired is TaskState.SHUTDOWN and new.message not in _FORCED and state.task_state(new) is was:
            stopped[new.service_id].append(new)
    for service_id, tasks in stopped.items():
        _check_available(state, service_id, tasks, service_id in start_first)


def _check_available(state: State, service_id: str, stopped: list[Task], start_first: bool) -> None:
    service = state.services.get(service_id)
    decision = state.service_decisions.get(service_id)
    if service is None or decision is None:
        return
    spec = state.revisions_of(service_id)[decision.revision].spec
    up, slots, failed = set(), set(), False
    for task in state.tasks_of(service_id).values():
        if task.desired is TaskState.REMOVE:
            continue
        slots.add(slot_of(task))
        at = state.task_state(task)
        failed |= at in (TaskState.FAILED, TaskState.REJECTED, TaskState.COMPLETE, TaskState.ORPHANED)
        if task.desired in GOING and at is TaskState.RUNNING:
            up.add(slot_of(task))
    lost = [task for task in stopped if slot_of(task) not in up and not _is_drained_global(state, spec, task)]
    if start_first:
        demand(
            not lost, "available", f"{service_id}: start-first, but {[task.id for task in lost]} stop with nobody else"
        )
    most = _slots_at_once(_config(spec, decision.update.state if decision.update else ""))
    if lost and most and not failed:  # what failed by itself is not the leader's doing
        down = [slot for slot in slots - up if isinstance(slot, int) or _takes_tasks(state, slot)]
        demand(len(down) <= most, "available", f"{service_id}: {len(down)} of {len(slots)} are down")


def _takes_tasks(state: State, node_id: str) -> bool:
    node = state.nodes.get(node_id)
    ready = state.node_state(node_id) is NodeState.READY
    return node is not None and ready and node.spec.availability is Availability.ACTIVE


def _is_drained_global(state: State, spec: ServiceSpec, task: Task) -> bool:
    node = state.nodes.get(task.node_id)
    return bool(spec.mode.global_) and node is not None and node.spec.availability is Availability.DRAIN


def _config(spec: ServiceSpec, state: str) -> UpdateConfig:
    return (spec.rollback_config if state.startswith("rollback") else spec.update_config) or UpdateConfig()


class RunBook:
    """Every run of every scheduled job, as the history showed it from step to step."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[float, int]] = {}
        self._to: dict[str, float] = {}

    def read(self, state: State) -> None:
        """No due time is decided about twice, and none is left out."""
        for gone in self._seen.keys() - state.services.keys():
            self._seen.pop(gone)
            self._to.pop(gone, None)
        for service in state.services.values():
            decision, wanted = state.service_decisions.get(service.id), schedule_of(service.spec)
            if decision is None or wanted is None:
                continue
            seen = self._seen.setdefault(service.id, {})
            for due, number in Counter(run.due_at for run in decision.runs).items():
                demand(number == 1, "runs", f"{service.id}: {number} runs are due at {due}")
            for run in decision.runs:
                if run.due_at not in seen and seen:
                    demand(run.due_at > max(seen), "runs", f"{service.id}: {run} came after a later one")
                demand(seen.setdefault(run.due_at, run.number) == run.number, "runs", f"{service.id}: {run} is double")
            self._no_gap(service.id, sorted(seen))

    def _no_gap(self, service_id: str, times: list[float]) -> None:
        for one, other in pairwise(times):
            demand(other - one == 20, "runs", f"{service_id}: nothing between {one} and {other}")
