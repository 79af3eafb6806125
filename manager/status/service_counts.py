"""The revision of a service that is in force, and how many of its tasks run. Pure."""

from __future__ import annotations

from api.engine.services import ServiceStatusAnswer
from api.objects.decided import Revision, Task
from api.objects.wanted import Service
from api.service.equality import task_fingerprint
from api.service.service_spec import ServiceSpec
from api.states import TaskState
from manager.store.state import State


def previous_revision(state: State, service: Service) -> Revision | None:
    """The target of a rollback: what was in force before. None for a new service or after an automatic rollback."""
    decision = state.service_decisions.get(service.id)
    if decision is None:
        return None
    number = decision.previous if decision.wanted == service.revision else decision.revision
    return state.revisions_of(service.id).get(number)


def spec_in_force(state: State, service: Service) -> ServiceSpec:
    """The spec that new tasks are made from: the wanted one, or the one before it after an automatic rollback.

    Docker shows and compares it as the service's spec, so that a client's next update starts from a spec that works.
    """
    decision = state.service_decisions.get(service.id)
    if decision is None or decision.wanted != service.revision or decision.revision == service.revision:
        return service.spec
    kept = state.revisions_of(service.id).get(decision.revision)
    return kept.spec if kept else service.spec


def service_status(state: State, service: Service) -> ServiceStatusAnswer:
    """How many tasks run and how many should (swarmkit controlapi ListServiceStatuses)."""
    tasks = state.tasks_of(service.id).values()
    wanted = [task for task in tasks if task.desired <= TaskState.COMPLETE]
    running = sum(state.task_state(task) is TaskState.RUNNING for task in wanted)
    iteration = max((task.job_iteration for task in tasks), default=0)
    done = [t for t in tasks if t.job_iteration == iteration and state.task_state(t) is TaskState.COMPLETE]
    spec = spec_in_force(state, service)
    if spec.is_replicated_job and service.spec.job_schedule() is None:
        return _counts(running, min(spec.replicas - len(done), spec.concurrency), len(done))
    if spec.is_replicated:
        return _counts(running, spec.replicas, 0)
    desired = sum(not state.task_state(task).is_terminal for task in wanted)
    return _counts(running, desired, len(done) if spec.is_job else 0)


def _counts(running: int, desired: int, completed: int) -> ServiceStatusAnswer:
    return ServiceStatusAnswer(running, max(desired, 0), completed)


def is_up_to_date(state: State, task: Task) -> bool:
    """Whether the task is as its service's present spec wants it; a later revision may leave its tasks unchanged."""
    service = state.services.get(task.service_id)
    if service is None:
        return False
    if task.revision == service.revision:
        return True
    revision = state.revision_of(task)
    return (
        revision is not None
        and not service.spec.is_job
        and task_fingerprint(revision.spec) == task_fingerprint(spec_in_force(state, service))
    )
