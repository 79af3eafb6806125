"""What must hold in a simulated cluster after every step, told apart by name so that tests can say which one broke."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Set

from api.objects.decided import NetworkDecision, NodeDecision, ServiceDecision, Task
from api.objects.node_matching import matches
from api.reasons.reason import Code
from api.service.equality import task_fingerprint
from api.service.service_spec import ServiceSpec, UpdateConfig
from api.states import GOING, Availability, NodeState, TaskState, is_legal
from manager.hosts.suspicion import Suspicion, suspicion
from manager.orchestrator.nodes.constraint_enforcer import GONE
from manager.orchestrator.nodes.node_liveness import UNMET
from manager.orchestrator.slots.slots import slot_of
from manager.orchestrator.slots.start_first_blocking import YIELDS
from manager.store.interface import Change, Put
from manager.store.state import State
from tests.manager.invariants import check
from tests.sim.users import MOVES_FIRST, STARTS_FIRST

_DESIRED = {TaskState.RUNNING: 0, TaskState.COMPLETE: 0, TaskState.SHUTDOWN: 1, TaskState.REMOVE: 2}
# as they were before a test broke them
_slots_at_once: Callable[[UpdateConfig], int] = UpdateConfig.__dict__["slots_at_once"].fget
_fingerprint = task_fingerprint
_FORCED = (UNMET.code, GONE.code, Code.NODE_DOWN, Code.NODE_REMOVED)
_HURT = (TaskState.FAILED, TaskState.REJECTED, TaskState.COMPLETE, TaskState.ORPHANED)
Before = dict[str, tuple[Task, TaskState]]
"""The tasks that a commit touched, before it, and where they were."""


class Broken(AssertionError):
    """A law does not hold. `law` is its name."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law


def demand(truth: bool, law: str, what: str) -> None:
    """Raise Broken unless it is true."""
    if not truth:
        raise Broken(law, what)


# ── what is held ─────────────────────────────────────────────────────────────────────────────────────────────────


def held_once(state: State, changed: Set[str], unseen: Set[str]) -> None:
    """Addresses, VIPs, published ports, VNIs; per node generic resources, CPUs, memory and host ports.

    `changed` are nodes that have had other resources: what leaves them may be too much for a while. Of `unseen` ones
    the leader has not looked at the change yet.
    """
    try:
        check(state)
    except AssertionError as error:
        raise Broken("held once", str(error)) from None
    for node_id in state.descriptions:
        tasks = [task for task in state.tasks_on(node_id).values() if not state.has_ended(task)]
        _check_node(state, node_id, tasks)
        if node_id not in unseen:
            _check_room(state, node_id, [t for t in tasks if node_id not in changed or t.desired in GOING])


def may_hold(change: Change, old: object) -> bool:
    """Whether a change can make anything be held that was not before: most only tell tasks to stop."""
    new = change.value if isinstance(change, Put) else None
    return _holdings(new) != _holdings(old) and new is not None


def _holdings(value: object) -> object:
    match value:
        case Task():
            return value.state, value.node_id, value.addresses, value.generic_resources
        case ServiceDecision():
            return value.vips, value.ports
        case NodeDecision():
            return value.gateways
        case NetworkDecision():
            return value
    return None


def _check_node(state: State, node_id: str, tasks: list[Task]) -> None:
    named, ports = set(), set()
    for task in tasks:
        for given in task.generic_resources:
            if own := given.named_resource_spec:
                demand(own.value not in named, "generic resources", f"{node_id}: {own.value} is held twice")
                named.add(own.value)
        endpoint = _spec(state, task).endpoint_spec
        for port in endpoint.ports if endpoint else ():
            if port.publish_mode == "host":
                demand(port.published_port not in ports, "host ports", f"{node_id}: {port.published_port} is twice")
                ports.add(port.published_port)


def _check_room(state: State, node_id: str, tasks: list[Task]) -> None:
    resources = state.descriptions[node_id].resources
    if not resources or not (offered := resources.reservations):
        return
    cpus = memory = given = 0
    for task in tasks:
        wanted = _spec(state, task).task_template.resources
        if wanted and wanted.reservations and task.state >= TaskState.ASSIGNED:
            cpus += wanted.reservations.nano_cpus
            memory += wanted.reservations.memory_bytes
            given += len(task.generic_resources)
    held = f"{node_id}: {cpus} nano-CPUs, {memory} bytes, {given} devices"
    demand(cpus <= offered.nano_cpus and memory <= offered.memory_bytes, "resources", held)
    demand(given <= len(offered.generic_resources), "resources", held)


def _spec(state: State, task: Task) -> ServiceSpec:
    return state.revisions_of(task.service_id)[task.revision].spec


# ── how tasks move ───────────────────────────────────────────────────────────────────────────────────────────────


def legal_moves(before: Before, state: State) -> None:
    """Tasks only ever move forward, and what they are does not change."""
    for id, (old, old_state) in before.items():
        new = state.tasks.get(id)
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


def one_per_slot(state: State, running: Set[str]) -> None:
    """At most one container runs in a slot; two while one takes over from the other. Of hosts that could be told."""
    first: dict[tuple[str, object], Task] = {}
    for id in running:
        task = state.tasks.get(id)
        if task is None:
            raise Broken("one per slot", f"{id} runs and is forgotten")
        other = first.setdefault((task.service_id, slot_of(task)), task)
        if other is not task:
            _check_slot(state, running, task)


def _check_slot(state: State, running: Set[str], one: Task) -> None:
    """Two may be in a slot, if one takes over from the other; never three."""
    slot, tasks = slot_of(one), state.tasks_of(one.service_id).values()
    there = [task for task in tasks if task.id in running and slot_of(task) == slot]
    there.sort(key=lambda task: task.created_at)
    fine = len(there) == 2 and _takes_over(*there)
    demand(fine, "one per slot", f"{one.service_id} slot {slot}: {[task.id for task in there]}")


def _takes_over(old: Task, new: Task) -> bool:
    """Whether the two may run beside one another: in a start-first update, or a move to another node."""
    if new.replaces == old.id and new.service_id in MOVES_FIRST:
        return True
    return new.service_id in STARTS_FIRST and new.revision != old.revision


# ── what is taken away ───────────────────────────────────────────────────────────────────────────────────────────


def available(before: Before, state: State) -> None:
    """What the leader stops of its own will leaves enough: all that ran (start-first), or all but the parallelism."""
    stopped: defaultdict[str, list[Task]] = defaultdict(list)
    for new in _stopped(before, state):
        stopped[new.service_id].append(new)
    for service_id, tasks in stopped.items():
        _check_available(state, service_id, tasks)


def spared(before: Before, state: State) -> None:
    """A task that is what is wanted is left alone: only those that differ are replaced, but for moves."""
    for task in _stopped(before, state):
        decision = state.service_decisions.get(task.service_id)
        if decision is None or task.service_id not in state.services:
            continue
        kept = state.revisions_of(task.service_id)
        same = _fingerprint(kept[task.revision].spec) == _fingerprint(kept[decision.revision].spec)
        node = state.nodes.get(task.node_id)
        placement = kept[decision.revision].spec.task_template.placement
        leaves = (
            node is None
            or node.spec.availability is Availability.DRAIN
            or not matches(placement.constraints if placement else [], node, state.descriptions.get(node.id))
        )
        others = (t for t in state.tasks_of(task.service_id).values() if slot_of(t) == slot_of(task))
        followed = any(other.id != task.id and other.desired in GOING for other in others)
        demand(leaves or followed or not same, "spared", f"{task.id} is stopped, and nothing was wrong with it")


def _code(task: Task) -> Code | None:
    return task.reason.code if task.reason else None


def _stopped(before: Before, state: State) -> list[Task]:
    """Tasks that ran, and that the leader tells to stop though nothing forces it to."""
    found = []
    for id, (old, was) in before.items():
        new = state.tasks.get(id)
        if new is None or was is not TaskState.RUNNING or old.desired is not TaskState.RUNNING:
            continue
        if new.desired is TaskState.SHUTDOWN and _code(new) not in _FORCED and state.task_state(new) is was:
            found.append(new)
    return found


def _check_available(state: State, service_id: str, stopped: list[Task]) -> None:
    decision = state.service_decisions.get(service_id)
    if service_id not in state.services or decision is None:
        return
    spec = state.revisions_of(service_id)[decision.revision].spec
    up, slots, hurt = set(), set(), set()
    for task in state.tasks_of(service_id).values():
        if task.desired is TaskState.REMOVE:
            continue
        slot, at = slot_of(task), state.task_state(task)
        slots.add(slot)
        if at in _HURT or (task.node_id and not _is_healthy(state, task.node_id)) or _code(task) in _FORCED:
            hurt.add(slot)  # not the leader's doing
        if task.desired in GOING and at is TaskState.RUNNING:
            up.add(slot)
    lost = [task for task in stopped if slot_of(task) not in up and not _is_drained_global(state, spec, task)]
    if service_id in STARTS_FIRST:
        # but where the old task itself is in the way: then its slot is done stop-first
        without = [task.id for task in lost if not (task.reason == YIELDS and _is_awaited(state, task))]
        demand(not without, "available", f"{service_id}: start-first, but {without} stop with nobody else")
    most = _slots_at_once(_config(spec, decision.update.state if decision.update else ""))
    if lost and most:
        down = [s for s in slots - up - hurt if isinstance(s, int) or _takes_tasks(state, s)]
        demand(len(down) <= most, "available", f"{service_id}: {len(down)} of {len(slots)} are down")


def _is_awaited(state: State, task: Task) -> bool:
    """Whether a successor of the task waits for a place, and says so."""
    return any(
        slot_of(other) == slot_of(task) and other.desired in GOING and other.state < TaskState.ASSIGNED
        and other.reason and other.created_at > task.created_at
        for other in state.tasks_of(task.service_id).values()
    )  # fmt: skip


def _is_healthy(state: State, node_id: str) -> bool:
    if suspicion(state, node_id) is not Suspicion.NONE:
        return False
    return node_id in state.nodes and node_id in state.sessions and state.node_state(node_id) is NodeState.READY


def _takes_tasks(state: State, node_id: str) -> bool:
    return _is_healthy(state, node_id) and state.nodes[node_id].spec.availability is Availability.ACTIVE


def _is_drained_global(state: State, spec: ServiceSpec, task: Task) -> bool:
    node = state.nodes.get(task.node_id)
    return bool(spec.mode.global_) and node is not None and node.spec.availability is Availability.DRAIN


def _config(spec: ServiceSpec, state: str) -> UpdateConfig:
    return (spec.rollback_config if state.startswith("rollback") else spec.update_config) or UpdateConfig()
