"""Services, tasks and the join of their three kinds of state, as the Engine API shows them. Pure.

(Nodes and the cluster are in node_views.py, networks in network_views.py.)
"""

from __future__ import annotations

from typing import Any

import msgspec

from api import defaults
from api.codec import plain, shown
from api.engine.common import timestamp
from api.objects.decided import Revision, ServiceDecision, Task, TaskAddress
from api.objects.kinds import NETWORK, SERVICE, STATUS, TASK
from api.objects.observed import TaskStatus  # fmt: skip
from api.objects.wanted import Service
from api.reasons.reason import Reason
from api.reasons.reason_text import task_error, task_message, text, update_message
from api.service.container import DNSConfig
from api.service.equality import task_fingerprint
from api.service.mode import ModeKind
from api.service.ports import EndpointSpec
from api.service.resources import Limits, Reservations, Resources  # fmt: skip
from api.service.service_spec import RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig
from api.states import TaskState
from manager.store.naming import task_name
from manager.store.state import State

Json = dict[str, Any]


def meta(version: int, created: float, updated: float) -> Json:
    """What every object has."""
    return {"Version": {"Index": version}, "CreatedAt": timestamp(created), "UpdatedAt": timestamp(updated)}


# ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────


def service_view(state: State, service: Service, *, status: bool = False, insert_defaults: bool = False) -> Json:
    """A service; with its counts of tasks (`status`), and with defaults written out where its spec says nothing."""
    spec = spec_in_force(state, service)
    view: Json = {
        "ID": service.id,
        **meta(state.version(SERVICE, service.id), service.created_at, service.updated_at),
        "Spec": spec_view(with_defaults(spec) if insert_defaults else spec),
        "Endpoint": _endpoint(state, service),
    }
    if previous := previous_revision(state, service):
        view["PreviousSpec"] = spec_view(previous.spec)
    decision = state.service_decisions.get(service.id)
    if decision and (update := _update_status(service, decision)):
        view["UpdateStatus"] = update
    if service.spec.is_job:
        view["JobStatus"] = _job_status(state, service)
    if status:
        view["ServiceStatus"] = service_status(state, service)
    return view


def _job_status(state: State, service: Service) -> Json:
    """The newest iteration and when it began: a scheduled job's newest run, else with the last update.

    That of an update is known before the leader has made its tasks: clients wait for tasks of the one they see first.
    """
    if service.spec.job_schedule() is None:
        return {"JobIteration": {"Index": service.revision}, "LastExecution": timestamp(service.updated_at)}
    iteration = max((task.job_iteration for task in state.tasks_of(service.id).values()), default=0)
    decision = state.service_decisions.get(service.id)
    newest = max(decision.runs if decision else [], key=lambda run: run.number, default=None)
    if newest is None or not newest.started_at:  # it has never run
        return {"JobIteration": {"Index": iteration}}
    return {"JobIteration": {"Index": newest.number}, "LastExecution": timestamp(newest.started_at)}


def _update_status(service: Service, decision: ServiceDecision) -> Json | None:
    """None when nothing is being changed; what an earlier update came to says nothing of one not taken up yet."""
    if decision.waiting and not decision.held:
        since = timestamp(service.updated_at)
        return {"State": "updating", "StartedAt": since, **_reason(decision.waiting), "Message": text(decision.waiting)}
    update = decision.update
    if not update or not update.state or decision.wanted != service.revision:
        return None
    status: Json = {"State": update.state, "StartedAt": timestamp(update.started_at)}
    if update.completed_at:
        status["CompletedAt"] = timestamp(update.completed_at)
    # the reason is ours: Docker forgets why it rolled back
    return {**status, **_reason(update.reason), "Message": update_message(update.state, update.reason)}


def _reason(reason: Reason | None) -> Json:
    return {} if reason is None else {"Reason": plain(reason)}


def spec_view(spec: ServiceSpec) -> Json:
    """A service's spec, with the fields that Docker always shows."""
    view: Json = {"Name": spec.name, "Labels": {}, **shown(spec.explicit())}
    view["TaskTemplate"] = task_spec_view(spec.task_template)
    return view


def task_spec_view(spec: TaskSpec) -> Json:
    """A task's spec, with the fields that Docker always shows."""
    return {"ForceUpdate": 0, "Runtime": "container", **shown(spec)}


def previous_revision(state: State, service: Service) -> Revision | None:
    """What was in force before: where a rollback goes. None for a new service, and after an automatic rollback."""
    decision = state.service_decisions.get(service.id)
    if decision is None:
        return None
    number = decision.previous if decision.wanted == service.revision else decision.revision
    return state.revisions_of(service.id).get(number)


def spec_in_force(state: State, service: Service) -> ServiceSpec:
    """The spec that tasks are made from: the wanted one, but the one before it after an automatic rollback.

    Docker shows and compares it as the service's spec, so that a client builds on what works.
    """
    decision = state.service_decisions.get(service.id)
    if decision is None or decision.wanted != service.revision or decision.revision == service.revision:
        return service.spec
    kept = state.revisions_of(service.id).get(decision.revision)
    return kept.spec if kept else service.spec


def service_status(state: State, service: Service) -> Json:
    """How many tasks run and how many should (swarmkit controlapi ListServiceStatuses)."""
    tasks = state.tasks_of(service.id).values()
    wanted = [task for task in tasks if task.desired <= TaskState.COMPLETE]
    running = sum(state.task_state(task) is TaskState.RUNNING for task in wanted)
    iteration = max((task.job_iteration for task in tasks), default=0)
    done = [t for t in tasks if t.job_iteration == iteration and state.task_state(t) is TaskState.COMPLETE]
    spec = spec_in_force(state, service)
    if spec.mode_kind is ModeKind.REPLICATED_JOB and service.spec.job_schedule() is None:
        return _counts(running, min(spec.replicas - len(done), spec.concurrency), len(done))
    if spec.mode_kind is ModeKind.REPLICATED:
        return _counts(running, spec.replicas, 0)
    desired = sum(not state.task_state(task).is_terminal for task in wanted)
    return _counts(running, desired, len(done) if spec.is_job else 0)


def _counts(running: int, desired: int, completed: int) -> Json:
    return {"RunningTasks": running, "DesiredTasks": max(desired, 0), "CompletedTasks": completed}


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    """The spec with what holds where it says nothing (swarmkit api/defaults/service.go)."""
    task, replace = spec.task_template, msgspec.structs.replace
    container = replace(
        task.container_spec,
        stop_grace_period=_or(task.container_spec.stop_grace_period, defaults.STOP_GRACE_PERIOD),
        dns_config=task.container_spec.dns_config or DNSConfig(),
    )
    restart = task.restart_policy or RestartPolicy()
    resources = task.resources or Resources()
    task = replace(
        task,
        container_spec=container,
        resources=replace(
            resources,
            limits=resources.limits or Limits(),
            reservations=resources.reservations or Reservations(),
        ),
        restart_policy=RestartPolicy(
            condition=restart.condition or "any",
            delay=_or(restart.delay, defaults.RESTART_DELAY),
            max_attempts=_or(restart.max_attempts, 0),
            window=_or(restart.window, 0),
        ),
    )
    return replace(
        spec,
        task_template=task,
        update_config=None if spec.is_job else _update_defaults(spec.update_config),
        rollback_config=None if spec.is_job else _update_defaults(spec.rollback_config),
        endpoint_spec=spec.endpoint_spec or EndpointSpec(mode="vip"),
    )


def _update_defaults(config: UpdateConfig | None) -> UpdateConfig:
    config = config or UpdateConfig()
    return msgspec.structs.replace(
        config,
        parallelism=_or(config.parallelism, defaults.UPDATE_PARALLELISM),
        failure_action=config.failure_action or "pause",
        monitor=_or(config.monitor, defaults.UPDATE_MONITOR),
        order=config.order or "stop-first",
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _endpoint(state: State, service: Service) -> Json:
    spec, decision = service.spec.endpoint_spec, state.service_decisions.get(service.id)
    view: Json = {"Spec": shown(spec) if spec else {}}
    ports = [*(decision.ports if decision else ()), *service.spec.host_ports]
    if ports:
        view["Ports"] = [shown(port) for port in ports]
    if decision and decision.vips:
        view["VirtualIPs"] = [
            {"NetworkID": vip.network_id, "Addr": f"{vip.address}/{_prefix_length(state, vip.network_id)}"}
            for vip in decision.vips
        ]
    return view


def _prefix_length(state: State, network_id: str) -> str:
    decision = state.network_decisions.get(network_id)
    return decision.subnet.rpartition("/")[2] if decision else str(defaults.SUBNET_LENGTH)


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def task_view(state: State, task: Task) -> Json:
    """A task: the leader's decision, its agent's status and its revision's spec in one."""
    status = state.statuses.get(task.id)
    revision = state.revision_of(task)
    version = max(state.version(TASK, task.id), state.version(STATUS, task.id))
    updated = max(task.updated_at, status.timestamp if status else 0.0)
    view: Json = {
        "ID": task.id,
        **meta(version, task.created_at, updated),
        "Name": task_name(state, task),
        "Labels": {},
        "Spec": task_spec_view(revision.spec.task_template) if revision else {},
        "ServiceID": task.service_id,
        "NodeID": task.node_id,
        "Status": _status(task, status),
        "DesiredState": task.desired.value,
    }
    if task.slot:
        view["Slot"] = task.slot
    if task.addresses:
        view["NetworksAttachments"] = [_attachment(state, address) for address in task.addresses]
    if task.generic_resources:
        view["GenericResources"] = [shown(resource) for resource in task.generic_resources]
    if task.job_iteration:
        view["JobIteration"] = {"Index": task.job_iteration}
    return view


def _status(task: Task, status: TaskStatus | None) -> Json:
    if status is None or task.state is TaskState.ORPHANED:
        return {
            "Timestamp": timestamp(task.updated_at or task.created_at),
            "State": task.state.value,
            "Message": task_message(task.state, None),
            "Err": text(task.reason),
            **_reason(task.reason),
            "PortStatus": {},
        }
    error = task_error(status.state, status.reason)
    # a task that was told to stop has its reason from the leader (a drain, constraints), if not one of its own
    told = task.reason if task.desired > TaskState.COMPLETE and not error else None
    view: Json = {
        "Timestamp": timestamp(status.timestamp),
        "State": status.state.value,
        "Message": task_message(status.state, status.reason),
        "Err": error or text(told),
        **_reason(told or status.reason),
        "PortStatus": {"Ports": [_port(port) for port in status.ports]} if status.ports else {},
    }
    if status.container_id or status.exit_code is not None:
        view["ContainerStatus"] = {
            "ContainerID": status.container_id,
            "PID": status.pid,
            "ExitCode": status.exit_code or 0,
        }
    return view


def _port(port: Any) -> Json:
    return {**shown(port), "PublishMode": "host"}


def _attachment(state: State, address: TaskAddress) -> Json:
    network = state.networks.get(address.network_id)
    view: Json = {"ID": address.network_id, **meta(state.version(NETWORK, address.network_id), 0, 0)}
    if network:
        view["CreatedAt"] = view["UpdatedAt"] = timestamp(network.created_at)
        view["Spec"] = {
            "Name": network.spec.name,
            "Labels": network.spec.labels,
            "DriverConfiguration": {"Name": "overlay"},
            "Attachable": network.spec.attachable,
            "Ingress": network.spec.ingress,
            "Scope": "swarm",
        }
    return {"Network": view, "Addresses": [address.address]}


def task_labels(state: State, task: Task) -> dict[str, str]:
    """What the label filter of tasks matches: its service's labels (swarmkit controlapi/task.go)."""
    if service := state.services.get(task.service_id):
        return service.spec.labels
    revision = state.revision_of(task)
    return revision.spec.labels if revision else {}


def is_up_to_date(state: State, task: Task) -> bool:
    """Whether the task is as its service's present spec wants it; later revisions may not have touched its template."""
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
