"""What is so when the trouble is over: every service has what its user wants, and nothing else is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from api.objects.decided import Task
from api.objects.wanted import Service
from api.reasons.reason_text import text
from api.service.service_spec import ServiceSpec
from api.states import GOING, NodeState, TaskState
from manager.orchestrator.slots.slots import slot_of
from manager.store.state import State
from tests.sim.laws import demand
from tests.sim.users import GOOD, MAY_WAIT

LAW = "convergence"
LONGEST_RUN = 60.0
"""Seconds: in calm, every task of a run ends within few steps."""
ENDED_WELL = ("", "completed", "rollback_completed")


def check_rest(state: State, names: Sequence[str], away: str, now: float) -> None:
    """Raises Broken unless all is as it should be. Node `away` ("" for none) is drained, or lost for good."""
    there = [name for name in names if name != away]
    demand(all(state.node_state(name) is NodeState.READY for name in there), LAW, "a node is not ready")
    for task in state.tasks_on(away).values():
        demand(task.desired not in GOING or state.has_ended(task), LAW, f"{task.id} is still on {away}")
    for service in state.services.values():
        decision = state.service_decisions.get(service.id)
        demand(decision is not None and decision.wanted == service.revision, LAW, f"{service.id} is not taken up")
        if decision is None:
            continue
        spec = state.revisions_of(service.id)[decision.revision].spec
        if spec.mode.replicated_job or spec.mode.global_job:
            _check_job(state, service, now)
        else:
            update = decision.update.state if decision.update else ""
            demand(update in ENDED_WELL, LAW, f"{service.id}: its update is {update}")
            _check_slots(state, service, spec, len(there))
    for task in state.tasks.values():
        if task.node_id == away and not state.has_ended(task):
            continue  # nobody can tell whether it lives
        demand(task.service_id in state.services, LAW, f"{task.id} has no service")
        demand(task.desired is not TaskState.REMOVE, LAW, f"{task.id} is still to be removed")
        demand(not (task.addresses and state.has_ended(task)), LAW, f"{task.id} keeps its address")


def _check_slots(state: State, service: Service, spec: ServiceSpec, nodes: int) -> None:
    """Each slot has one task, that runs and is up to date; some may wait for room."""
    going = [task for task in state.tasks_of(service.id).values() if task.desired in GOING]
    up = [task for task in going if state.task_state(task) is TaskState.RUNNING]
    waiting = [task for task in going if task.state < TaskState.ASSIGNED and text(task.reason)]
    wanted = nodes if spec.mode.global_ else (spec.mode.replicated.replicas or 0) if spec.mode.replicated else 1
    told = f"{service.id}: {len(up)} run and {len(waiting)} wait of {wanted}, {len(going)} are to"
    demand(len(up) + len(waiting) == wanted == len(going), LAW, told)
    demand(max(Counter(map(slot_of, going)).values(), default=1) == 1, LAW, f"{told}; two are in one slot")
    demand(not waiting or service.id in MAY_WAIT, LAW, f"{told}: {waiting and text(waiting[0].reason)}")
    for task in up:
        own = state.revisions_of(service.id)[task.revision].spec.task_template
        demand(own.container_spec == spec.task_template.container_spec, LAW, f"{task.id} is outdated")


def _check_job(state: State, service: Service, now: float) -> None:
    """Unscheduled jobs are done; a scheduled one has no run older than those it may still have."""
    decision = state.service_decisions[service.id]
    if service.spec.schedule is None:
        for task in state.tasks_of(service.id).values():
            at = state.task_state(task)
            if task.desired not in GOING and state.node_state(task.node_id) is NodeState.DOWN:
                continue
            demand(at.is_terminal, LAW, f"{service.id}: {task.id} is {at.value}")
        return
    for run in decision.runs:
        stuck = run.outcome == "running" and now - run.started_at > LONGEST_RUN
        stuck = stuck and all(_works(state, t) for t in state.tasks_of(service.id).values())
        demand(not stuck, LAW, f"{service.id}: run {run.number} is at work for {now - run.started_at:g} s")
    demand(now - decision.scheduled_to <= 80, LAW, f"{service.id}: {decision.scheduled_to} {now}")


def _works(state: State, task: Task) -> bool:
    """Whether it is of an image that does not hang nor crash."""
    kept = state.revisions_of(task.service_id).get(task.revision)
    return kept is not None and kept.spec.task_template.container_spec.image in GOOD
