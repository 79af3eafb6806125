"""Services as the Engine API answers them, from the state. Pure."""

from __future__ import annotations

from msgspec import Raw
from msgspec.structs import replace

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
from api.objects.decided import ServiceDecision, Task
from api.objects.kinds import NETWORK_DECISION, REVISION, SERVICE, SERVICE_DECISION, TASK
from api.objects.wanted import Service
from api.reasons.reason_text import text, update_message
from manager.status.encoded_specs import EncodedSpecs
from manager.status.service_counts import previous_revision, service_status, spec_in_force
from manager.store.state import Event, State

NO_ENDPOINT_SPEC = EndpointSpecAnswer()


class ServiceAnswers:
    """An index of the state: answers about services, built when first needed and cached until the service changes.

    An answer does not depend on earlier requests. Numbers of tasks are not cached: they change too often.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._specs = state.index(EncodedSpecs)
        self._kept: dict[str, EncodedServiceAnswer] = {}

    def follow(self, event: Event) -> None:
        """Drop the answers that a change makes stale."""
        if event.kind in (SERVICE, SERVICE_DECISION):
            self._kept.pop(event.id, None)
        elif event.kind is REVISION:
            self._kept.pop(event.id.rpartition(".")[0], None)
        elif event.kind is NETWORK_DECISION:
            self._kept.clear()
        elif event.kind is TASK:
            for task in (event.old, event.new):
                if isinstance(task, Task) and task.job_iteration:
                    self._kept.pop(task.service_id, None)

    def of(self, service: Service) -> EncodedServiceAnswer:
        """The answer about a service of the state."""
        answer = self._kept.get(service.id)
        if answer is None:
            spec = self._specs.of_service(spec_in_force(self._state, service))
            answer = self._kept[service.id] = _answer(self._state, service, spec)
        return answer

    def with_status(self, service: Service) -> EncodedServiceAnswer:
        """The answer, with the numbers of tasks."""
        return replace(self.of(service), service_status=service_status(self._state, service))


def answer_with_defaults(state: State, service: Service) -> EncodedServiceAnswer:
    """The answer, with defaults in the fields that its spec leaves out."""
    spec = with_defaults(spec_in_force(state, service))
    return _answer(state, service, shown_json(shown_service_spec(spec)))


def _answer(state: State, service: Service, spec: Raw) -> EncodedServiceAnswer:
    previous, decision = previous_revision(state, service), state.service_decisions.get(service.id)
    return EncodedServiceAnswer(
        service.id,
        VersionAnswer(state.version(SERVICE, service.id)),
        timestamp(service.created_at),
        timestamp(service.updated_at),
        spec,
        state.index(EncodedSpecs).of_service(previous.spec) if previous else None,
        _endpoint(state, service, decision),
        _update_status(service, decision) if decision else None,
        None,
        _job_status(state, service) if service.spec.is_job else None,
    )


def _job_status(state: State, service: Service) -> JobStatusAnswer:
    """The newest iteration and when it began: a scheduled job's newest run, else with the last update.

    An update's iteration is known before the leader makes its tasks: clients wait for tasks of the first one they see.
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
    """The update's status; None without an update, and when the leader has not processed the newest spec yet."""
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
