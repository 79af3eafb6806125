"""What a restarted agent knows of a task, from the noted status and the container that exists. Pure."""

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
    """Where a task stands when its runner starts.

    `status` is what was noted of it (running or ended), `image` the one its container was made from. A task that is
    new to this host has none of the two. One that was running is not started a second time when its container is gone.
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
    # RUNNING is told only of a healthy container: it stays so until its probes say otherwise.
    return HealthState.HEALTHY if was_running else HealthState.STARTING
