"""Relocation: moving slots away from drained nodes, and to nodes that joined, for balance.

Only slots of replicated services are relocated; global services and jobs are stopped on a drained node at once
(node_liveness.py).
- Drain: as many slots at once as the update's parallelism allows. Start-first if the update order says so, or if no
  order is given and a task shares nothing with its successor (no volume, no bind mount, no host-mode port): the old
  task runs until the new one runs, however long that takes, unless it blocks the new one (start_first_blocking.py).
  Otherwise the old task is stopped first, as in Swarm.
- Balance, for services that opt in (or, if the cluster opts in, for all that may have two tasks in a slot): one slot at
  a time, start-first, until no two nodes differ by more than one task.

`Task.replaces` marks a task that is to take over; tasks/repair.py stops the old task when the new one runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from api import defaults
from api.objects.decided import Task
from api.objects.kinds import NODE, NODE_DECISION
from api.objects.wanted import Node
from api.reasons.reason import Code, reason
from api.service.service_spec import ServiceSpec
from api.states import Availability, TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import ServicePass, going, stop_blocking
from manager.orchestrator.slots.slots import ServiceSlots, SlotKey, by_number
from manager.orchestrator.updates.rolling_update import IN_PROGRESS
from manager.store.state import Event, State

DRAINED = reason(Code.NODE_DRAINED)
WAITS = reason(Code.DRAIN_WAITS)
LABEL = "argosy.rebalance"


class DrainedNodes:
    """Ids of the nodes that are set to drain; an index of the state."""

    def __init__(self, state: State) -> None:
        self.ids = {node.id for node in state.nodes.values() if node.spec.availability is Availability.DRAIN}

    def follow(self, event: Event) -> None:
        """Update for a change of a node."""
        if event.kind is NODE:
            self.ids.discard(event.id)
            if isinstance(event.new, Node) and event.new.spec.availability is Availability.DRAIN:
                self.ids.add(event.id)


def moves_gently(spec: ServiceSpec) -> bool:
    """Whether a drain relocates the service's tasks slot by slot, rather than stopping them all."""
    return spec.is_replicated


def starts_first(spec: ServiceSpec) -> bool:
    """Whether two tasks of a slot may run for a while, so that a relocation starts the replacement first."""
    if spec.update_config is not None and spec.update_config.order:
        return spec.update_config.starts_first
    shares = any(mount.type != "tmpfs" for mount in spec.task_template.container_spec.mounts)
    return not shares and not spec.host_ports


def wants_balance(state: State, spec: ServiceSpec) -> bool:
    """Whether the service's tasks move to nodes that join. Services with spread preferences are excluded."""
    if not moves_gently(spec) or (spec.task_template.placement and spec.task_template.placement.preferences):
        return False
    if spec.rebalance is not None:
        return spec.rebalance
    if LABEL in spec.labels:
        return _is_true(spec.labels[LABEL])
    everywhere = _is_true(state.cluster.labels.get(LABEL, "")) if state.cluster else False
    return everywhere and starts_first(spec)  # services that stop first may not have two tasks in a slot unasked


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")


def relocate(service_pass: ServicePass) -> None:
    """Advance the relocation of a service's tasks."""
    if not moves_gently(service_pass.spec):
        return
    leaving = {id for id in service_pass.state.index(DrainedNodes).ids if id in service_pass.slots.nodes}
    _give_up(service_pass, leaving)
    if leaving:
        _drain(service_pass, leaving)
    elif wants_balance(service_pass.state, service_pass.spec):
        _balance(service_pass)


def is_uneven(slots: ServiceSlots, node_id: str) -> bool:
    """Whether a node has at least two tasks of a service fewer than the fullest node."""
    return bool(slots.nodes) and slots.nodes[node_id] + 1 < max(slots.nodes.values())


def _give_up(service_pass: ServicePass, leaving: set[str]) -> None:
    """Stop replacements without a node once no relocation is needed, or (for balance) after REBALANCE_PATIENCE."""
    for slot in by_number(service_pass.slots.moving):
        running = going(service_pass.tasks(slot))
        if slot in service_pass.handled or len(running) < 2 or not running[-1].replaces:
            continue
        newest, old = running[-1], running[0]
        if newest.state >= TaskState.ASSIGNED or old.node_id in leaving:
            continue
        until = newest.created_at + defaults.REBALANCE_PATIENCE if newest.node_id else service_pass.now
        if service_pass.now >= until:
            service_pass.stop(slot, newest)
            service_pass.builder.put_task(old, reason=None)
        else:
            service_pass.again(until)


# ── drain ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _drain(service_pass: ServicePass, leaving: set[str]) -> None:
    room, gently = service_pass.update_config.slots_at_once, starts_first(service_pass.spec)
    candidates: list[tuple[SlotKey, Task]] = []
    busy = len(service_pass.handled - service_pass.slots.in_use)  # slots created in this pass
    if moving := list(_moving(service_pass, leaving)):
        down = sum(_is_busy(service_pass, slot) and not service_pass.runs(slot) for slot in service_pass.slots.in_use)
        stop_blocking(service_pass, moving, down + busy)
    for slot in by_number(service_pass.slots.in_use):
        task = _leaves(service_pass, slot, leaving)
        if task is None:
            busy += _is_busy(service_pass, slot)
        elif service_pass.state.task_state(task) is not TaskState.RUNNING:
            service_pass.stop(slot, task, DRAINED)  # it does not run, so nothing is lost
            busy += 1
        elif (free := service_pass.free_at(service_pass.tasks(slot))) > service_pass.now:
            service_pass.again(free)
            busy += 1
        elif gently and (at := _again_at(service_pass, slot, task)) != 0.0:
            if at is not None:
                service_pass.again(at)
            busy += 1
        else:
            candidates.append((slot, task))
    for slot, task in candidates[: max(0, room - busy) if room else None]:
        if gently:
            service_pass.builder.put_task(task, reason=WAITS)
            service_pass.create(slot, task.restarts, replaces=task.id)
        else:
            service_pass.stop(slot, task, DRAINED)


def _moving(service_pass: ServicePass, leaving: set[str]) -> Iterator[tuple[SlotKey, Task, Task]]:
    """Slots that are moving off the nodes, each with the old and the new task."""
    for slot in by_number(service_pass.slots.moving - service_pass.handled):
        running = going(service_pass.tasks(slot))
        if len(running) == 2 and running[1].replaces == running[0].id and running[0].node_id in leaving:
            yield slot, running[0], running[1]


def _leaves(service_pass: ServicePass, slot: SlotKey, leaving: set[str]) -> Task | None:
    """The only task to run of a slot, if it is on one of the nodes and no step has handled it yet."""
    running = going(service_pass.tasks(slot))
    if slot in service_pass.handled or len(running) != 1 or running[0].node_id not in leaving:
        return None
    update = service_pass.decision.update
    if update is not None and update.state in IN_PROGRESS and service_pass.is_outdated(running[0]):
        return None  # the update replaces it
    return running[0]


def _is_busy(service_pass: ServicePass, slot: SlotKey) -> bool:
    tasks = [task for task in service_pass.tasks(slot) if task.desired is not TaskState.REMOVE]
    running = going(tasks)
    if slot in service_pass.handled or len(running) > 1:
        return True
    if running:
        return service_pass.state.task_state(running[0]) is not TaskState.RUNNING
    newest = tasks[-1]
    state = service_pass.state.task_state(newest)
    return not all(map(service_pass.ended, tasks)) or restart.due(service_pass.policy, newest, state) is not None


def _again_at(service_pass: ServicePass, slot: SlotKey, task: Task) -> float | None:
    """When a failed replacement is to be tried again (Unix seconds); 0: now; None: never."""
    newest = service_pass.tasks(slot)[-1]
    if newest.replaces != task.id or not service_pass.ended(newest):
        return 0.0
    at = restart.due(service_pass.policy, newest, service_pass.state.task_state(newest))
    return 0.0 if at is not None and at <= service_pass.now else at


# ── balance ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _balance(service_pass: ServicePass) -> None:
    update = service_pass.decision.update
    if (update is not None and update.state in IN_PROGRESS) or not is_quiet(service_pass):
        return
    found = _widest(service_pass)
    if found is None:
        return
    fewest, most = found
    decision = service_pass.builder.get(NODE_DECISION, fewest)
    calm = (decision.since if decision else service_pass.now) + defaults.REBALANCE_CALM
    if calm > service_pass.now:
        service_pass.again(calm)
        return
    candidates = ((s, t) for s in by_number(service_pass.slots.in_use)[::-1] for t in _on(service_pass, s, most))
    if (candidate := next(candidates, None)) is None:  # all of them are being stopped
        return
    slot, task = candidate
    newest = service_pass.tasks(slot)[-1]
    if newest.replaces == task.id and newest.updated_at + defaults.REBALANCE_PAUSE > service_pass.now:
        service_pass.again(newest.updated_at + defaults.REBALANCE_PAUSE)  # the last attempt failed
        return
    service_pass.create(slot, task.restarts, replaces=task.id, node_id=fewest)


def is_quiet(service_pass: ServicePass) -> bool:
    """Whether every slot has exactly one task that is to run, and it runs."""
    if service_pass.handled or service_pass.slots.unconverged:
        return False
    return all(
        service_pass.state.task_state(task) is TaskState.RUNNING
        for slot in service_pass.slots.in_use
        for task in going(service_pass.tasks(slot))
    )


def _widest(service_pass: ServicePass) -> tuple[str, str] | None:
    """The nodes with the fewest and the most tasks; None if they differ by at most one."""
    counts = service_pass.slots.nodes
    if not counts:
        return None
    most = max(counts, key=lambda id: (counts[id], id))
    free = [
        id for id in service_pass.state.nodes if counts[id] + 1 < counts[most] and service_pass.node_takes_tasks(id)
    ]
    if not free:
        return None
    return min(free, key=lambda id: (counts[id], id)), most


def _on(service_pass: ServicePass, slot: SlotKey, node_id: str) -> list[Task]:
    return [task for task in going(service_pass.tasks(slot)) if task.node_id == node_id]


def is_gentle(state: State, service_id: str) -> bool:
    """Whether the service's own pass relocates its tasks from a drained node."""
    decision = state.service_decisions.get(service_id)
    revision = state.revisions_of(service_id).get(decision.revision) if decision else None
    return service_id in state.services and revision is not None and moves_gently(revision.spec)
