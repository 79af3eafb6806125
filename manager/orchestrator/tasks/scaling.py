"""Scaling: how many slots a service has, and which. The only place where replicated, global and job modes differ.

- replicated: numbers from 1. Missing slots get the lowest free numbers; `_least_missed` chooses surplus slots.
- global: the nodes that can take a task.
- replicated job: numbers from 1 to the completions wanted, at most MaxConcurrent in progress at once.
- global job: like global, each until it has completed.

A slot that was given up is reused only when its tasks have ended: no two tasks ever share a slot's volume.
"""

from __future__ import annotations

from collections import Counter

from api.states import TaskState
from manager.orchestrator.slots.service_pass import ServicePass, active, going
from manager.orchestrator.slots.slots import SlotKey


def scale(service_pass: ServicePass, nodes: list[str]) -> None:
    """Add and remove slots as the mode requires; for global services, on `nodes`."""
    if old := _obsolete_slots(service_pass):
        service_pass.remove(old)  # the next pass creates their slots again
    elif service_pass.is_global:
        _scale_global(service_pass, nodes)
    else:
        _scale_replicated(service_pass)


def _obsolete_slots(service_pass: ServicePass) -> list[SlotKey]:
    """Slots of an earlier job iteration or another mode, or whose held tasks are outdated."""
    if not service_pass.slots.revisions.keys() - {service_pass.decision.revision}:
        return []
    if not service_pass.is_job and not service_pass.decision.held:
        numbers, in_use = service_pass.slots.numbers.taken, service_pass.slots.in_use
        if service_pass.is_global:
            return list(numbers)
        return list(in_use - numbers) if len(in_use) > len(numbers) else []
    return [
        slot for slot in service_pass.slots.in_use
        if any(
            task.desired is not TaskState.REMOVE and service_pass.is_outdated(task) for task in service_pass.tasks(slot)
        )
    ]  # fmt: skip


def _scale_replicated(service_pass: ServicePass) -> None:
    slots, wanted = service_pass.slots.in_use, service_pass.spec.replicas
    if len(slots) > wanted:
        service_pass.remove(_least_missed(service_pass, len(slots) - wanted))
        return
    missing = wanted - len(slots)
    if service_pass.spec.is_replicated_job:
        missing = min(missing, spare(service_pass))
    for slot in service_pass.slots.numbers.free(missing):
        if service_pass.is_free(slot):
            service_pass.create(slot)


def spare(service_pass: ServicePass) -> int:
    """How many more tasks a replicated job may have in progress."""
    busy = sum(
        1 for slot in service_pass.slots.in_use
        if any(not service_pass.ended(task) for task in going(service_pass.tasks(slot)))
    )  # fmt: skip
    runs = max(1, len(active(service_pass.decision)))  # each run of a scheduled job has its own limit
    return max(0, service_pass.spec.concurrency * runs - busy)


def _scale_global(service_pass: ServicePass, nodes: list[str]) -> None:
    gone = [slot for slot in service_pass.slots.in_use if slot not in service_pass.state.nodes]
    service_pass.remove(gone)
    for node_id in nodes:
        if node_id in service_pass.slots.in_use or not service_pass.node_takes_tasks(node_id):
            continue
        if service_pass.is_free(node_id):
            service_pass.create(node_id)


def _least_missed(service_pass: ServicePass, number: int) -> list[SlotKey]:
    """The `number` slots to remove: not running before running, then from the fullest nodes, then high numbers first.

    Source: swarmkit orchestrator/replicated/slot.go.
    """
    per_node: Counter[str] = Counter()
    ranked: list[tuple[bool, int, SlotKey]] = []
    order = sorted(service_pass.slots.in_use, key=lambda slot: (not service_pass.runs(slot), slot))
    for slot in order:
        node = _node_of(service_pass, slot)
        ranked.append((not service_pass.runs(slot), per_node[node], slot))
        per_node[node] += 1
    ranked.sort()
    return [slot for _, _, slot in ranked[len(ranked) - number :]]


def _node_of(service_pass: ServicePass, slot: SlotKey) -> str:
    return next((task.node_id for task in going(service_pass.tasks(slot)) if task.node_id), "")
