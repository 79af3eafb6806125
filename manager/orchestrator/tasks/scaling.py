"""How many slots a service is to have, and which: the only place where replicated, global and jobs differ.

- replicated: numbers from 1; too few: the lowest free ones; too many: those go that are missed least.
- global: the nodes that can take a task.
- replicated job: numbers from 1 to the completions wanted, at most MaxConcurrent at work at once.
- global job: like global, each until it has completed.

A slot that was given up is taken anew only when what was in it has ended: no two tasks ever share a slot's volume.
"""

from __future__ import annotations

from collections import Counter

from api.states import TaskState
from manager.orchestrator.slots.service_pass import Deployment, active, going
from manager.orchestrator.slots.slots import SlotKey


def shape(deployment: Deployment, nodes: list[str]) -> None:
    """Bring the slots to what the mode wants; for global services, on the nodes named."""
    if old := _of_another_time(deployment):
        deployment.remove(old)  # their slots are taken anew in the next look
    elif deployment.is_global:
        _shape_global(deployment, nodes)
    else:
        _shape_replicated(deployment)


def _of_another_time(deployment: Deployment) -> list[SlotKey]:
    """Slots of an earlier iteration of a job, of another mode, or whose tasks waited and were changed meanwhile."""
    if not deployment.slots.revisions.keys() - {deployment.decision.revision}:
        return []
    if not deployment.is_job and not deployment.decision.held:
        numbers, in_use = deployment.slots.numbers.taken, deployment.slots.in_use
        if deployment.is_global:
            return list(numbers)
        return list(in_use - numbers) if len(in_use) > len(numbers) else []
    return [
        slot for slot in deployment.slots.in_use
        if any(
            task.desired is not TaskState.REMOVE and deployment.is_outdated(task) for task in deployment.tasks(slot)
        )
    ]  # fmt: skip


def _shape_replicated(deployment: Deployment) -> None:
    slots, wanted = deployment.slots.in_use, deployment.spec.replicas
    if len(slots) > wanted:
        deployment.remove(_least_missed(deployment, len(slots) - wanted))
        return
    missing = wanted - len(slots)
    if deployment.spec.is_replicated_job:
        missing = min(missing, spare(deployment))
    for slot in deployment.slots.numbers.free(missing):
        if deployment.is_free(slot):
            deployment.create(slot)


def spare(deployment: Deployment) -> int:
    """How many more tasks a replicated job may have at work."""
    busy = sum(
        1 for slot in deployment.slots.in_use
        if any(not deployment.ended(task) for task in going(deployment.tasks(slot)))
    )  # fmt: skip
    runs = max(1, len(active(deployment.decision)))  # of a scheduled job, each has room of its own
    return max(0, deployment.spec.concurrency * runs - busy)


def _shape_global(deployment: Deployment, nodes: list[str]) -> None:
    gone = [slot for slot in deployment.slots.in_use if slot not in deployment.state.nodes]
    deployment.remove(gone)
    for node_id in nodes:
        if node_id in deployment.slots.in_use or not deployment.node_takes_tasks(node_id):
            continue
        if deployment.is_free(node_id):
            deployment.create(node_id)


def _least_missed(deployment: Deployment, number: int) -> list[SlotKey]:
    """Slots to give up: not running before running, then from the nodes with most of them, then high numbers first.

    Source: swarmkit orchestrator/replicated/slot.go.
    """
    per_node: Counter[str] = Counter()
    ranked: list[tuple[bool, int, SlotKey]] = []
    order = sorted(deployment.slots.in_use, key=lambda slot: (not _runs(deployment, slot), slot))
    for slot in order:
        node = _node_of(deployment, slot)
        ranked.append((not _runs(deployment, slot), per_node[node], slot))
        per_node[node] += 1
    ranked.sort()
    return [slot for _, _, slot in ranked[len(ranked) - number :]]


def _runs(deployment: Deployment, slot: SlotKey) -> bool:
    return any(
        deployment.state.task_state(task) is TaskState.RUNNING for task in going(deployment.tasks(slot))
    )  # fmt: skip


def _node_of(deployment: Deployment, slot: SlotKey) -> str:
    return next((task.node_id for task in going(deployment.tasks(slot)) if task.node_id), "")
