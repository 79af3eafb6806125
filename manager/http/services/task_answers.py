"""Tasks as the Engine API answers them, from the state. Pure.

An answer combines the leader's decision, the agent's status and the spec of the task's revision.
"""

from __future__ import annotations

from msgspec import Raw

from api.engine.common import VersionAnswer, timestamp
from api.engine.tasks import (
    AttachedNetworkAnswer,
    AttachedNetworkSpecAnswer,
    ContainerStatusAnswer,
    EncodedTaskAnswer,
    HostPortAnswer,
    NetworkAttachmentAnswer,
    PortStatusAnswer,
    TaskStatusAnswer,
)  # fmt: skip
from api.objects.decided import Task
from api.objects.kinds import NETWORK, REVISION, SERVICE, STATUS, TASK
from api.objects.observed import PortStatus, TaskStatus
from api.reasons.reason_text import task_error, task_message, text
from api.states import TaskState
from manager.status.encoded_specs import EncodedSpecs
from manager.store.naming import task_name
from manager.store.state import Event, State

NO_SPEC = Raw(b"{}")
NO_LABELS: dict[str, str] = {}
NO_PORTS = PortStatusAnswer()


MOST_KEPT = 8192
"""Answers; some 10 MB."""


class TaskAnswers:
    """An index of the state: answers about tasks, built when first needed and cached until the task changes.

    An answer does not depend on earlier requests.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._specs = state.index(EncodedSpecs)
        self._networks: dict[str, AttachedNetworkAnswer] = {}
        self._kept: dict[str, EncodedTaskAnswer] = {}

    def follow(self, event: Event) -> None:
        """Drop the answers that a change makes stale."""
        if event.kind in (TASK, STATUS):
            self._kept.pop(event.id, None)
        elif event.kind in (NETWORK, REVISION, SERVICE):
            self._kept.clear()
            self._networks.clear()

    def of(self, task: Task) -> EncodedTaskAnswer:
        """The answer about a task of the state."""
        answer = self._kept.get(task.id)
        if answer is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            answer = self._kept[task.id] = self._made(task)
        return answer

    def _made(self, task: Task) -> EncodedTaskAnswer:
        state, status, revision = self._state, self._state.statuses.get(task.id), self._state.revision_of(task)
        return EncodedTaskAnswer(
            task.id,
            VersionAnswer(max(state.version(TASK, task.id), state.version(STATUS, task.id))),
            timestamp(task.created_at),
            timestamp(max(task.updated_at, status.timestamp) if status else task.updated_at),
            task_name(state, task),
            NO_LABELS,
            self._specs.of_task(revision.spec.task_template) if revision else NO_SPEC,
            task.service_id,
            task.slot,
            task.node_id,
            _decided(task) if status is None or task.state is TaskState.ORPHANED else _observed(task, status),
            task.desired.value,
            [NetworkAttachmentAnswer(self._network(one.network_id), [one.address]) for one in task.addresses],
            task.generic_resources,
            VersionAnswer(task.job_iteration) if task.job_iteration else None,
        )

    def _network(self, id: str) -> AttachedNetworkAnswer:
        if (answer := self._networks.get(id)) is None:
            answer = self._networks[id] = _network(self._state, id)
        return answer


def _decided(task: Task) -> TaskStatusAnswer:
    """The status of a task that no agent has reported yet, or that was given up."""
    return TaskStatusAnswer(
        timestamp(task.updated_at or task.created_at),
        task.state.value,
        task_message(task.state, None),
        text(task.reason),
        task.reason,
    )


def _observed(task: Task, status: TaskStatus) -> TaskStatusAnswer:
    error = task_error(status.state, status.reason)
    # the reason of a task that is being stopped is the leader's (a drain, constraints), unless it has one of its own
    told = task.reason if task.desired > TaskState.COMPLETE and not error else None
    has_container = status.container_id or status.exit_code is not None
    return TaskStatusAnswer(
        timestamp(status.timestamp),
        status.state.value,
        task_message(status.state, status.reason),
        error or text(told),
        told or status.reason,
        ContainerStatusAnswer(status.container_id, status.pid, status.exit_code or 0) if has_container else None,
        PortStatusAnswer([_port(port) for port in status.ports]) if status.ports else NO_PORTS,
    )


def _port(port: PortStatus) -> HostPortAnswer:
    return HostPortAnswer(port.protocol, port.target_port, port.published_port, host_ip=port.host_ip)


def _network(state: State, id: str) -> AttachedNetworkAnswer:
    network = state.networks.get(id)
    at = timestamp(network.created_at if network else 0)
    spec = None
    if network:
        asked = network.spec
        spec = AttachedNetworkSpecAnswer(
            asked.name, asked.labels, attachable=asked.attachable, ingress=asked.ingress
        )  # fmt: skip
    return AttachedNetworkAnswer(id, VersionAnswer(state.version(NETWORK, id)), at, at, spec)


def task_labels(state: State, task: Task) -> dict[str, str]:
    """The labels that the label filter of tasks matches: those of its service (swarmkit controlapi/task.go)."""
    if service := state.services.get(task.service_id):
        return service.spec.labels
    revision = state.revision_of(task)
    return revision.spec.labels if revision else {}
