"""Why a service is not as it should be, in words, and what to do about it. Pure: State → JSON.

First the service as a whole, then slot by slot: a slot with a running task that nothing is to replace needs no words.
JSON: docs/design/http-api.md, "Argosy's own paths". The sentences of tasks: manager/status/task_verdict.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from api.engine.common import timestamp
from api.network.network_spec import INGRESS
from api.objects.decided import Task
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP
from api.objects.wanted import Service
from api.service.cron import next_after
from api.service.mode import ModeKind
from api.service.self_declared import secrets_warning
from api.states import Availability, NodeState, TaskState
from manager.assignments.assignment_sources import task_name
from manager.hosts.occupied_prefixes import network_troubles
from manager.http.networks.network_answers import uses
from manager.http.services.service_answers import Json, service_status, spec_in_force
from manager.orchestrator.slots.slots import SlotKey, Slots, by_number, in_order
from manager.status.task_verdict import Account, account_of
from manager.store.lookup import hostname
from manager.store.state import State

_PAUSED = ("paused", "rollback_paused")
_UNDER_WAY = ("updating", "rollback_started")


def explanation(state: State, service: Service, now: float) -> Json:
    """All that is to be said of a service."""
    counts = service_status(state, service)
    running, wanted = counts["RunningTasks"], counts["DesiredTasks"]
    return {
        "ServiceID": service.id,
        "ServiceName": service.spec.name,
        "Mode": service.spec.mode_kind,
        "Running": running,
        "Wanted": wanted,
        "Summary": _summary(state, service, running, wanted, now),
        "Problems": [*_of_service(state, service), *_of_slots(state, service, now)],
    }


def _summary(state: State, service: Service, running: int, wanted: int, now: float) -> str:
    decision = state.service_decisions.get(service.id)
    update = decision.update if decision else None
    suffix = f"; {update.message}" if update and update.state in (*_PAUSED, *_UNDER_WAY) and update.message else ""
    if schedule := service.spec.job_schedule():
        at = inf if schedule.suspend else next_after(schedule, now)
        due = f"the next run is due at {timestamp(at)[:19]}Z" if at < inf else "no run is due"
        return f"{running} tasks run{suffix}; {due}"
    if said := _of_job(state, service, running):
        return f"{said}{suffix}"
    return f"{running} of {wanted} tasks run{suffix}"


def _of_job(state: State, service: Service, running: int) -> str:
    """How far a job that runs once is; "" for other services."""
    spec, completed = spec_in_force(state, service), service_status(state, service)["CompletedTasks"]
    if not spec.is_job:
        return ""
    total = len(state.index(Slots).of(service.id).in_use) if spec.is_global else spec.replicas
    if total and completed >= total:
        again = f"`argosy service update --force {service.spec.name}` runs it again"
        return f"done, {completed} of {total} tasks completed; {again}"
    return f"{completed} of {total} tasks completed, {running} run"


# ── the service as a whole ───────────────────────────────────────────────────────────────────────────────────────


def _of_service(state: State, service: Service) -> Iterator[Json]:
    decision = state.service_decisions.get(service.id)
    if CURRENT_LEADER not in state.table(LEADERSHIP):
        yield _problem(
            "missing", "no manager leads now, so nothing is decided",
            "wait some seconds; if it stays so, too few managers are alive: see `argosy node ls`",
        )  # fmt: skip
    elif decision is not None and decision.waits:
        yield _problem(
            "waiting", decision.waits, "wait; `argosy service explain` on what is waited for says what keeps it"
        )
    elif decision is None or decision.wanted != service.revision:
        yield _problem(
            "missing", "the leader has not taken up the newest spec yet", "wait a moment; the leader's log says more"
        )
    if decision and decision.message:
        yield _problem(
            "address", decision.message, "free the address or port, or ask for another one in the service's spec"
        )
    if warning := secrets_warning(spec_in_force(state, service)):
        reason, _, advice = warning.partition(": ")
        yield _problem("self-declared", reason, advice)
    yield from _of_update(state, service)
    yield from _of_mode(state, service)
    yield from _of_schedule(state, service)
    yield from _of_networks(state, service)


def _of_networks(state: State, service: Service) -> Iterator[Json]:
    """Hosts that use something of its networks' subnets themselves."""
    used = [network for id, network in state.networks.items() if uses(service, id)]
    if service.spec.mesh_ports and INGRESS in state.networks:
        used.append(state.networks[INGRESS])
    for network in used:
        for overlap in network_troubles(state, network.id):
            text, _, way_out = overlap.partition("; ")
            yield _problem("network", f"network {network.spec.name}: {text}", way_out)


def _of_update(state: State, service: Service) -> Iterator[Json]:
    decision = state.service_decisions.get(service.id)
    update, name = decision.update if decision else None, service.spec.name
    if decision is None or update is None:
        return
    since = {"Since": timestamp(update.started_at)}
    if update.state in _PAUSED:
        yield _problem(
            "update-paused", update.message,
            f"mend the spec and update again, or go back with `argosy service rollback {name}`", **since,
        )  # fmt: skip
    elif update.state in _UNDER_WAY:
        text = update.message or "the service is being updated"
        yield _problem("updating", text, "wait; slots that hold it up are listed below", **since)
    elif decision.wanted != decision.revision and decision.wanted == service.revision:
        yield _problem(
            "rolled-back",
            f"revision {decision.wanted} was rolled back to revision {decision.revision}:"
            f" {update.reason or update.message}",
            f"see what the failed tasks said (`argosy service ps {name}`), and update with a spec that works", **since,
        )  # fmt: skip


def _of_mode(state: State, service: Service) -> Iterator[Json]:
    spec = spec_in_force(state, service)
    slots = state.index(Slots).of(service.id)
    if spec.mode_kind is ModeKind.REPLICATED and not spec.replicas:
        yield _problem(
            "scaled-to-zero", "the service is wanted with 0 replicas", f"argosy service scale {service.spec.name}=1"
        )
    elif spec.is_global and not slots.in_use:
        yield _problem(
            "no-nodes", f"no node can take a task ({_nodes(state)})",
            "check the placement constraints against `argosy node ls`, and that nodes are ready and active",
        )  # fmt: skip
    elif spec.mode_kind is ModeKind.REPLICATED and len(slots.in_use) < spec.replicas:
        missing = spec.replicas - len(slots.in_use)
        yield _problem("missing", f"{missing} tasks have not been made yet", "wait a moment")


def _of_schedule(state: State, service: Service) -> Iterator[Json]:
    schedule, decision = service.spec.job_schedule(), state.service_decisions.get(service.id)
    if schedule is None or decision is None:
        return
    if schedule.suspend:
        yield _problem("suspended", "its schedule is suspended", "deploy it without the suspension")
    last = decision.runs[-1] if decision.runs else None
    if last is not None and last.outcome in ("failed", "missed", "skipped"):
        due = f"run {last.number}, due at {timestamp(last.due_at)[:19]}Z,"
        if last.outcome == "skipped":
            yield _problem(
                "run-skipped", f"the run due at {timestamp(last.due_at)[:19]}Z was skipped: one before was at work",
                "if a run hangs, give the schedule an active deadline (--schedule-active-deadline), or another overlap",
            )  # fmt: skip
        elif last.outcome == "failed":
            yield _problem("run-failed", f"{due} failed", f"see its tasks: `argosy service ps {service.spec.name}`")
        else:
            yield _problem("run-missed", f"{due} was missed", "raise the schedule's missed window, or run it by hand")


def _nodes(state: State) -> str:
    ready = [node for node in state.nodes.values() if state.node_state(node.id) is NodeState.READY]
    active = sum(node.spec.availability is Availability.ACTIVE for node in ready)
    return f"{len(state.nodes)} in the cluster, {len(ready)} ready, {active} of them active"


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_slots(state: State, service: Service, now: float) -> Iterator[Json]:
    slots, decision = state.index(Slots).of(service.id), state.service_decisions.get(service.id)
    held = decision is not None and decision.held
    for slot in by_number(slots.in_use):
        tasks = in_order(task for task in slots.tasks[slot].values() if task.desired is not TaskState.REMOVE)
        # of a slot that is being updated start-first it is the newest task that holds things up
        if held and tasks[-1].state is TaskState.NEW:
            continue  # what the service waits for has been said
        if account := account_of(state, service, tasks[-1], now):
            yield _of_task(state, slot, tasks[-1], account)


def _of_task(state: State, slot: SlotKey, task: Task, account: Account) -> Json:
    status = state.statuses.get(task.id)
    view: Json = {
        "Code": account.code,
        "Scope": "task",
        "Slot": str(slot) if isinstance(slot, int) else hostname(state, slot) or slot,
        "TaskID": task.id,
        "TaskName": task_name(state, task),
        "NodeID": task.node_id,
        "Node": hostname(state, task.node_id),
        "State": state.task_state(task).value,
        "Since": timestamp(max(task.updated_at or task.created_at, status.timestamp if status else 0.0)),
        "Reason": account.reason,
        "Advice": account.advice,
    }
    return {**view, "RetryAt": timestamp(account.retry_at)} if account.retry_at else view


def _problem(code: str, reason: str, advice: str, **more: str) -> Json:
    return {"Code": code, "Scope": "service", "Reason": reason, "Advice": advice, **more}
