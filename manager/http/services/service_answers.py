"""Services as the Engine API answers them, from the state. Pure."""

from __future__ import annotations

from api import defaults
from api.codec import shown_json
from api.engine.common import VersionAnswer, timestamp
from api.engine.services import (
    EncodedServiceAnswer,
    EndpointAnswer,
    EndpointSpecAnswer,
    JobStatusAnswer,
    PortAnswer,
    UpdateStatusAnswer,
    VirtualIPAnswer,
    shown_service_spec,
    with_defaults,
)  # fmt: skip
from api.objects.decided import ServiceDecision
from api.objects.kinds import SERVICE
from api.objects.wanted import Service
from api.reasons.reason_text import text, update_message
from manager.status.encoded_specs import EncodedSpecs
from manager.status.service_counts import previous_revision, service_status, spec_in_force
from manager.store.state import State

NO_ENDPOINT_SPEC = EndpointSpecAnswer()


def service_answer(
    state: State, service: Service, *, status: bool = False, insert_defaults: bool = False
) -> EncodedServiceAnswer:
    """A service; with its counts of tasks (`status`), and with defaults written out where its spec says nothing."""
    spec, specs = spec_in_force(state, service), state.index(EncodedSpecs)
    previous, decision = previous_revision(state, service), state.service_decisions.get(service.id)
    return EncodedServiceAnswer(
        service.id,
        VersionAnswer(state.version(SERVICE, service.id)),
        timestamp(service.created_at),
        timestamp(service.updated_at),
        shown_json(shown_service_spec(with_defaults(spec))) if insert_defaults else specs.of_service(spec),
        specs.of_service(previous.spec) if previous else None,
        _endpoint(state, service, decision),
        _update_status(service, decision) if decision else None,
        service_status(state, service) if status else None,
        _job_status(state, service) if service.spec.is_job else None,
    )


def _job_status(state: State, service: Service) -> JobStatusAnswer:
    """The newest iteration and when it began: a scheduled job's newest run, else with the last update.

    That of an update is known before the leader has made its tasks: clients wait for tasks of the one they see first.
    """
    if service.spec.job_schedule() is None:
        return JobStatusAnswer(VersionAnswer(service.revision), timestamp(service.updated_at))
    iteration = max((task.job_iteration for task in state.tasks_of(service.id).values()), default=0)
    decision = state.service_decisions.get(service.id)
    newest = max(decision.runs if decision else [], key=lambda run: run.number, default=None)
    if newest is None or not newest.started_at:  # it has never run
        return JobStatusAnswer(VersionAnswer(iteration))
    return JobStatusAnswer(VersionAnswer(newest.number), timestamp(newest.started_at))


def _update_status(service: Service, decision: ServiceDecision) -> UpdateStatusAnswer | None:
    """None when nothing is being changed; what an earlier update came to says nothing of one not taken up yet."""
    if (waiting := decision.waiting) and not decision.held:
        return UpdateStatusAnswer("updating", timestamp(service.updated_at), message=text(waiting), reason=waiting)
    update = decision.update
    if not update or not update.state or decision.wanted != service.revision:
        return None
    return UpdateStatusAnswer(
        update.state,
        timestamp(update.started_at),
        timestamp(update.completed_at) if update.completed_at else "",
        update_message(update.state, update.reason),
        update.reason,
    )


def _endpoint(state: State, service: Service, decision: ServiceDecision | None) -> EndpointAnswer:
    spec = service.spec.endpoint_spec
    return EndpointAnswer(
        EndpointSpecAnswer.of(spec) if spec else NO_ENDPOINT_SPEC,
        [PortAnswer.of(port) for port in (*(decision.ports if decision else ()), *service.spec.host_ports)],
        [
            VirtualIPAnswer(vip.network_id, f"{vip.address}/{_prefix_length(state, vip.network_id)}")
            for vip in (decision.vips if decision else ())
        ],
    )


def _prefix_length(state: State, network_id: str) -> str:
    decision = state.network_decisions.get(network_id)
    return decision.subnet.rpartition("/")[2] if decision else str(defaults.SUBNET_LENGTH)
