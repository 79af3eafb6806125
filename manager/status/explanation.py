"""The explanation of a service: its problems, each with what to do. Pure.

Problems of the service as a whole come first, then those of slots; a slot whose task runs as wanted has none.
JSON: docs/design/http-api.md, "Argosy's own paths". Problems of tasks: manager/status/task_verdict.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from api.engine.argosy import ExplanationAnswer, ProblemAnswer
from api.engine.common import timestamp
from api.network.network_spec import INGRESS
from api.objects.decided import Task
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP
from api.objects.wanted import Service
from api.reasons.reason import Code, Fact, Reason, reason
from api.reasons.reason_text import text, update_message
from api.reasons.remedies import remedy
from api.service.cron import next_after
from api.service.self_declared import secrets_reason
from api.states import Availability, NodeState, TaskState
from manager.hosts.occupied_prefixes import overlaps_of
from manager.orchestrator.slots.slots import SlotKey, Slots, by_number, in_order
from manager.status.service_counts import service_status, spec_in_force
from manager.status.service_verdict import run_reason, service_verdict, verdict_answer
from manager.status.task_verdict import TaskVerdict, task_verdict
from manager.store.lookup import hostname
from manager.store.naming import task_name
from manager.store.state import State

_PAUSED = {"paused": Code.UPDATE_PAUSED, "rollback_paused": Code.ROLLBACK_PAUSED}
_UNDER_WAY = {"updating": Code.UPDATING, "rollback_started": Code.ROLLING_BACK}


def explanation(state: State, service: Service, now: float) -> ExplanationAnswer:
    """The verdict on a service, a summary and all its problems. `now` is in Unix seconds."""
    counts = service_status(state, service)
    running, wanted = counts.running_tasks, counts.desired_tasks
    return ExplanationAnswer(
        service.id,
        service.spec.name,
        service.spec.mode_kind,
        running,
        wanted,
        _summary(state, service, running, wanted, now),
        verdict_answer(state, service, service_verdict(state, service, now)),
        [*_of_service(state, service), *_of_slots(state, service, now)],
    )


def _summary(state: State, service: Service, running: int, wanted: int, now: float) -> str:
    decision = state.service_decisions.get(service.id)
    update = decision.update if decision else None
    is_told = update is not None and (update.state in _PAUSED or update.state in _UNDER_WAY)
    suffix = f"; {update_message(update.state, update.reason)}" if update and is_told else ""
    if schedule := service.spec.job_schedule():
        at = inf if schedule.suspend else next_after(schedule, now)
        due = f"the next run is due at {timestamp(at)[:19]}Z" if at < inf else "no run is due"
        return f"{running} tasks run{suffix}; {due}"
    if said := _of_job(state, service, running):
        return f"{said}{suffix}"
    return f"{running} of {wanted} tasks run{suffix}"


def _of_job(state: State, service: Service, running: int) -> str:
    """The progress of a job that runs once; "" for other services."""
    spec, completed = spec_in_force(state, service), service_status(state, service).completed_tasks
    if not spec.is_job:
        return ""
    total = len(state.index(Slots).of(service.id).in_use) if spec.is_global else spec.replicas
    if total and completed >= total:
        again = f"`argosy service update --force {service.spec.name}` runs it again"
        return f"done, {completed} of {total} tasks completed; {again}"
    return f"{completed} of {total} tasks completed, {running} run"


# ── the service as a whole ───────────────────────────────────────────────────────────────────────────────────────


def _of_service(state: State, service: Service) -> Iterator[ProblemAnswer]:
    decision = state.service_decisions.get(service.id)
    if CURRENT_LEADER not in state.table(LEADERSHIP):
        yield _problem("missing", reason(Code.NO_LEADER))
    elif decision is not None and decision.waiting:
        yield _problem("waiting", decision.waiting)
    elif decision is None or decision.wanted != service.revision:
        yield _problem("missing", reason(Code.NOT_TAKEN_UP))
    if decision and decision.reason:
        yield _problem("address", decision.reason)
    if why := secrets_reason(spec_in_force(state, service)):
        yield _problem("self-declared", why)
    yield from _of_update(state, service)
    yield from _of_mode(state, service)
    yield from _of_schedule(state, service)
    yield from _of_networks(state, service)


def _of_networks(state: State, service: Service) -> Iterator[ProblemAnswer]:
    """Hosts whose own addresses or routes overlap subnets of its networks."""
    used = [network for id, network in state.networks.items() if service.spec.is_on_network(id)]
    if service.spec.mesh_ports and INGRESS in state.networks:
        used.append(state.networks[INGRESS])
    for network in used:
        for overlap in overlaps_of(state, network.id, network=network.spec.name):
            yield _problem("network", overlap)


def _of_update(state: State, service: Service) -> Iterator[ProblemAnswer]:
    decision = state.service_decisions.get(service.id)
    update, facts = decision.update if decision else None, {"service": service.spec.name}
    if decision is None or update is None:
        return
    since = timestamp(update.started_at)
    if code := _PAUSED.get(update.state):
        yield _problem("update-paused", reason(code, update.reason, **facts), since)
    elif code := _UNDER_WAY.get(update.state):
        yield _problem("updating", reason(code, update.reason), since)
    elif decision.wanted != decision.revision and decision.wanted == service.revision:
        revisions = {"revision": decision.wanted, "to": decision.revision}
        yield _problem("rolled-back", reason(Code.ROLLED_BACK, update.reason, **facts, **revisions), since)


def _of_mode(state: State, service: Service) -> Iterator[ProblemAnswer]:
    spec = spec_in_force(state, service)
    slots = state.index(Slots).of(service.id)
    if spec.is_replicated and not spec.replicas:
        yield _problem("scaled-to-zero", reason(Code.SCALED_TO_ZERO, service=service.spec.name))
    elif spec.is_global and not slots.in_use:
        yield _problem("no-nodes", reason(Code.NO_NODE_FITS, **_node_counts(state)))
    elif spec.is_replicated and len(slots.in_use) < spec.replicas:
        yield _problem("missing", reason(Code.TASKS_NOT_MADE, tasks=spec.replicas - len(slots.in_use)))


def _of_schedule(state: State, service: Service) -> Iterator[ProblemAnswer]:
    schedule, decision = service.spec.job_schedule(), state.service_decisions.get(service.id)
    if schedule is None or decision is None:
        return
    if schedule.suspend:
        yield _problem("suspended", reason(Code.SCHEDULE_SUSPENDED))
    if why := run_reason(service, decision):
        yield _problem(why.code.value, why)


def _node_counts(state: State) -> dict[str, Fact]:
    ready = [node for node in state.nodes.values() if state.node_state(node.id) is NodeState.READY]
    active = sum(node.spec.availability is Availability.ACTIVE for node in ready)
    return {"nodes": len(state.nodes), "ready": len(ready), "active": active}


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_slots(state: State, service: Service, now: float) -> Iterator[ProblemAnswer]:
    slots, decision = state.index(Slots).of(service.id), state.service_decisions.get(service.id)
    held = decision is not None and decision.held
    for slot in by_number(slots.in_use):
        tasks = in_order(task for task in slots.tasks[slot].values() if task.desired is not TaskState.REMOVE)
        # in a slot that is being updated start-first the newest task is the one that delays the update
        if held and tasks[-1].state is TaskState.NEW:
            continue  # the problem "waiting" of the service covers it
        if found := task_verdict(state, service, tasks[-1], now):
            yield _of_task(state, slot, tasks[-1], found)


def _of_task(state: State, slot: SlotKey, task: Task, verdict: TaskVerdict) -> ProblemAnswer:
    status = state.statuses.get(task.id)
    return ProblemAnswer(
        verdict.code,
        "task",
        text(verdict.reason),
        verdict.advice,
        verdict.reason,
        str(slot) if isinstance(slot, int) else hostname(state, slot) or slot,
        task.id,
        task_name(state, task),
        task.node_id,
        hostname(state, task.node_id),
        state.task_state(task).value,
        timestamp(max(task.updated_at or task.created_at, status.timestamp if status else 0.0)),
        timestamp(verdict.retry_at) if verdict.retry_at else "",
    )


def _problem(code: str, why: Reason, since: str = "") -> ProblemAnswer:
    return ProblemAnswer(code, "service", text(why), remedy(why), why, since=since)
