"""Dependencies: services that wait for other services (`ServiceSpec.depends_on`), and what they wait for.

A service waits once for each revision that starts tasks: on its first deploy its tasks stay NEW (`held`), on an update
the revision in force stays in force. Once started, a service is not stopped when a dependency fails. Readiness is read
from the tasks, so it survives a change of leader; only the end of the wait is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set

from api.objects.decided import ServiceDecision, Task
from api.objects.kinds import SERVICE
from api.objects.wanted import Service
from api.reasons.reason import Code, Reason, reason
from api.service.equality import task_fingerprint
from api.service.service_spec import Dependency, ServiceSpec
from api.states import GOING, TaskState
from manager.orchestrator.slots.slots import SlotKey, in_order, slot_of
from manager.store.state import Dirty, Event, State


class Dependants:
    """Services by the names they depend on; an index of the state."""

    def __init__(self, state: State) -> None:
        self._of: defaultdict[str, set[str]] = defaultdict(set)
        for service in state.services.values():
            self._file(service)

    def follow(self, event: Event) -> None:
        """Update for a change of a service."""
        if event.kind is not SERVICE:
            return
        if isinstance(event.old, Service):
            self._unfile(event.old)
        if isinstance(event.new, Service):
            self._file(event.new)

    def of(self, name: str) -> Set[str]:
        """Ids of services that depend on the service of that name."""
        return self._of.get(name, frozenset())

    def _file(self, service: Service) -> None:
        for dependency in service.spec.depends_on:
            self._of[dependency.service].add(service.id)

    def _unfile(self, service: Service) -> None:
        for dependency in service.spec.depends_on:
            self._of[dependency.service].discard(service.id)
            if not self._of[dependency.service]:
                del self._of[dependency.service]


def waiting(state: State, dirty: Dirty) -> Iterator[str]:
    """Ids of waiting services that depend on a service that has changed or is gone."""
    dependants = state.index(Dependants)
    for id in dirty.services:
        service = state.services.get(id) or dirty.gone.get(id)
        for dependant in dependants.of(service.spec.name) if isinstance(service, Service) else ():
            decision = state.service_decisions.get(dependant)
            if decision is not None and decision.waiting:
                yield dependant


def unmet(state: State, spec: ServiceSpec) -> Reason | None:
    """What a service with that spec has to wait for; None if it may start."""
    waits = [
        reason(Code.DEPENDENCY, service=item.service, condition=item.condition)
        for item in spec.depends_on
        if not _is_met(state, item)
    ]
    return reason(Code.WAITING_FOR_SERVICES, *waits) if waits else None


def starts_tasks(state: State, service: Service, decision: ServiceDecision) -> bool:
    """Whether the wanted revision needs other tasks than the one in force."""
    kept = state.revisions_of(service.id).get(decision.revision)
    return kept is None or service.spec.is_job or task_fingerprint(kept.spec) != task_fingerprint(service.spec)


def _is_met(state: State, dependency: Dependency) -> bool:
    service = state.service_named(dependency.service)
    if service is None:
        return dependency.optional
    decision = state.service_decisions.get(service.id)
    if decision is None or decision.wanted != service.revision:
        return False  # its wanted revision is not in force yet
    revision = state.revisions_of(service.id).get(decision.revision)
    spec = revision.spec if revision else service.spec
    newest = _newest(state, service.id, decision.revision, spec)
    if dependency.optional and any(_gave_up(state, task) for task in newest.values()):
        return True
    ready = sum(_shows(state, task, dependency.condition) for task in newest.values())
    if spec.is_global:  # all tasks that are to run, and at least one
        rest = [t for t in newest.values() if t.desired in GOING and not _shows(state, t, dependency.condition)]
        return ready > 0 and not rest
    return ready >= spec.replicas


def _newest(state: State, service_id: str, revision: int, spec: ServiceSpec) -> dict[SlotKey, Task]:
    """By slot: the newest task of the revision in force, or of a revision with the same task fingerprint."""
    same = {revision}
    if not spec.is_job:
        wanted = task_fingerprint(spec)
        same |= {n for n, kept in state.revisions_of(service_id).items() if task_fingerprint(kept.spec) == wanted}
    slots: dict[SlotKey, Task] = {}
    for task in in_order(state.tasks_of(service_id).values()):
        if task.desired is not TaskState.REMOVE and task.revision in same:
            slots[slot_of(task)] = task
    return slots


def _shows(state: State, task: Task, condition: str) -> bool:
    at = state.task_state(task)
    if condition == "completed":
        return at is TaskState.COMPLETE
    if condition == "healthy":  # a task runs only once its health check has passed
        return at is TaskState.RUNNING and task.desired in GOING
    status = state.statuses.get(task.id)
    return at in (TaskState.RUNNING, TaskState.COMPLETE) or bool(status and (status.pid or status.started_at))


def _gave_up(state: State, task: Task) -> bool:
    return state.task_state(task) in (TaskState.FAILED, TaskState.REJECTED)
