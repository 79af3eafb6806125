"""Adoption: what a restarted agent knows about a task, from its checkpointed status and its container. Pure."""

from __future__ import annotations

from agent.lifecycle.health import Health, HealthState, check_of
from agent.lifecycle.step import Failure, Observed
from agent.runtime.interface import Container, Image
from api.objects.observed import TaskStatus
from api.reasons.reason import Code, reason
from api.states import TaskState
from api.wire.assignments import SpecAssignment

LOST = reason(Code.CONTAINER_LOST)


def observe(
    status: TaskStatus | None, container: Container | None, image: Image | None, spec: SpecAssignment | None
) -> Observed:
    """The observed state of a task when its runner starts.

    `status` is the checkpointed status (running or ended), `image` the one its container was made from; both are None
    for a task that is new to this host. A task that was running is not started again if its container is gone.
    """
    if status and status.state.is_terminal:
        return Observed(reached=status.state, final=status, maybe_sandbox=False)
    was_running = status is not None and status.state is TaskState.RUNNING
    reached = TaskState.RUNNING if was_running else TaskState.ACCEPTED
    if not container or not (container.pid or container.exit):
        return Observed(reached=reached, failure=Failure(TaskState.FAILED, LOST) if was_running else None)
    return Observed(
        image=image,
        ports=tuple(status.ports) if status else (),
        created=True,
        started=container.started,
        hooked=was_running,
        pid=container.pid,
        exit=container.exit,
        health=Health(_health(was_running, image, spec)),
        reached=reached,
    )


def _health(was_running: bool, image: Image | None, spec: SpecAssignment | None) -> HealthState:
    wanted = spec.task.container_spec.healthcheck if spec else None
    if not check_of(wanted, image.healthcheck if image else None):
        return HealthState.NONE
    # RUNNING is reported only for a healthy container: it counts as healthy until its probes fail.
    return HealthState.HEALTHY if was_running else HealthState.STARTING
