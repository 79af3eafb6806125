"""The step function of a task's life: from the wanted and the observed state to the next action and status. Pure.

    way up:    FETCH → CONNECT → QUEUE → OPEN → CREATE → START → (HOOK) → WATCH
    way down:  (DRAIN → LINGER) → STOP → (REMOVE a container that never ran) → CLOSE → terminal status
               → IDLE, or REMOVE → LEAVE

The runner performs the action and calls `step` again. The rest of the system depends on two rules:
- a terminal status is reported only after the sandbox is closed: from then on another task may get its addresses;
- a status never goes back, not even when the agent restarts.
States, messages and error texts follow swarmkit agent/exec/controller.go `Do` and moby daemon/cluster/executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from agent.lifecycle import health
from agent.lifecycle.health import NO_HEALTH, Health, HealthState
from agent.runtime.interface import Exit, Image, container_id
from api.objects.observed import PortStatus, TaskStatus
from api.reasons.reason import Code, Fact, Reason, reason
from api.states import TaskState
from api.wire.assignments import ConfigAssignment, SecretAssignment, SpecAssignment, TaskAssignment


class Action(Enum):
    """What the runner does next."""

    IDLE = auto()
    """Do nothing until the wanted state changes."""
    FETCH = auto()
    CONNECT = auto()
    """Wait until the task's networks exist on this host."""
    QUEUE = auto()
    """Wait for a free place: a host starts only so many containers at once."""
    OPEN = auto()
    CREATE = auto()
    START = auto()
    HOOK = auto()
    """Run the post_start commands."""
    WATCH = auto()
    """Wait for the container's end, and probe its health."""
    DRAIN = auto()
    """Wait until the managers report that no host sends the task new connections."""
    LINGER = auto()
    """After draining, give open connections time to end."""
    STOP = auto()
    CLOSE = auto()
    REMOVE = auto()
    LEAVE = auto()
    """Nothing is left of the task."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the managers want of a task, and what they sent for it."""

    order: TaskAssignment
    spec: SpecAssignment | None = None
    """None before it has arrived."""
    peers: tuple[str, ...] = ()
    """Addresses of hosts that have the image."""
    image: str = ""
    """The image reference, with the digest that managers know for its tag; "" stands for the spec's reference."""
    files: tuple[SecretAssignment | ConfigAssignment, ...] = ()
    """The task's secrets and configs, as far as they have arrived."""
    lacking: tuple[str, ...] = ()
    """Names of those that have not arrived, such as "secret password"."""
    gone: bool = False
    """No longer assigned to this host: its status is not reported any more."""

    @property
    def stopping(self) -> bool:
        """Whether the task shall end."""
        return self.gone or self.order.desired >= TaskState.SHUTDOWN

    @property
    def leaving(self) -> bool:
        """Whether the task's container shall be removed too."""
        return self.gone or self.order.desired >= TaskState.REMOVE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task cannot go on."""

    state: TaskState
    """REJECTED or FAILED."""
    reason: Reason


class Observed(msgspec.Struct, frozen=True):
    """What is known about a task on this host. Both `maybe` fields are true until their thing is known not to exist."""

    image: Image | None = None
    connected: bool = False
    turn: bool = False
    netns: str | None = None
    """Path of the task's network namespace, once it is open; "" is the host's."""
    ports: tuple[PortStatus, ...] = ()
    """The host ports that the task's sandbox holds."""
    created: bool = False
    started: float = 0.0
    drained: bool = False
    """Whether all hosts have removed the task from DNS and load balancing, or the time for that has passed."""
    lingered: bool = False
    hooked: bool = False
    """Whether the post_start commands have run."""
    pid: int = 0
    exit: Exit | None = None
    health: Health = NO_HEALTH
    failure: Failure | None = None
    trouble: Reason | None = None
    """Why the current action is being repeated."""
    maybe_sandbox: bool = True
    maybe_container: bool = True
    reached: TaskState = TaskState.ACCEPTED
    """The furthest state reported so far."""
    final: TaskStatus | None = None
    """The terminal status, once reported."""

    @property
    def running(self) -> bool:
        """Whether the container's process runs."""
        return self.pid > 0 and self.exit is None


@dataclass(frozen=True, slots=True)
class Step:
    """The next action and the status to report, without a timestamp: the runner sets it when the status changes."""

    action: Action
    status: TaskStatus


def step(wanted: Wanted, seen: Observed) -> Step:
    """The next step of a task. Called again after every change of either argument."""
    if wanted.stopping or seen.exit or seen.failure or seen.final:
        return _closing(_down(wanted, seen))
    if seen.health.state is HealthState.UNHEALTHY:
        return _closing(_alive(wanted, seen, Action.STOP, seen.reached, Code.STOPPING_UNHEALTHY))
    return _up(wanted, seen)


def _up(wanted: Wanted, seen: Observed) -> Step:
    spec = wanted.spec
    if seen.running:
        if spec and spec.task.container_spec.post_start and not seen.hooked:
            return _alive(wanted, seen, Action.HOOK, TaskState.STARTING, Code.POST_START)
        if seen.health.state is HealthState.STARTING:
            return _alive(wanted, seen, Action.WATCH, TaskState.STARTING, Code.HEALTH_CHECK_PENDING)
        return _alive(wanted, seen, Action.WATCH, TaskState.RUNNING)
    if spec is None:
        return _alive(wanted, seen, Action.IDLE, TaskState.ACCEPTED)
    if not seen.image:
        image = spec.task.container_spec.image
        return _alive(wanted, seen, Action.FETCH, TaskState.PREPARING, Code.GETTING_IMAGE, image=image)
    if not seen.connected:
        return _alive(wanted, seen, Action.CONNECT, TaskState.PREPARING, Code.WAITING_FOR_NETWORKS)
    if wanted.lacking and not seen.created:
        files = ", ".join(wanted.lacking)
        return _alive(wanted, seen, Action.IDLE, TaskState.PREPARING, Code.WAITING_FOR_FILES, files=files)
    ready = seen.created and seen.netns is not None
    if ready and wanted.order.desired <= TaskState.READY:
        return _alive(wanted, seen, Action.IDLE, TaskState.READY)
    state = TaskState.READY if ready else TaskState.PREPARING
    if not seen.turn:
        return _alive(wanted, seen, Action.QUEUE, state, None if ready else Code.WAITING_FOR_TURN)
    if seen.netns is None:
        return _alive(wanted, seen, Action.OPEN, TaskState.PREPARING)
    if not seen.created:
        return _alive(wanted, seen, Action.CREATE, TaskState.PREPARING)
    return _alive(wanted, seen, Action.START, TaskState.STARTING)


def _down(wanted: Wanted, seen: Observed) -> Step:
    if seen.running:
        # The state is `reached`, not RUNNING: a task that never became ready must not look ready while it stops.
        if _serves(wanted, seen):
            if wanted.order.draining and not seen.drained:
                return _alive(wanted, seen, Action.DRAIN, seen.reached, Code.DRAINING)
            if wanted.order.linger and not seen.lingered:
                return _alive(wanted, seen, Action.LINGER, seen.reached, Code.DRAINING)
        return _alive(wanted, seen, Action.STOP, seen.reached, Code.STOPPING)
    if seen.exit is None and seen.final is None and seen.maybe_container:
        # The container never ran, or could not be started: it has no log, and must not hold the namespace.
        return _alive(wanted, seen, Action.REMOVE, seen.reached, Code.CLEANING_UP)
    if seen.maybe_sandbox:
        return _alive(wanted, seen, Action.CLOSE, seen.reached, Code.CLEANING_UP)
    final = seen.final or _verdict(wanted, seen)
    if wanted.leaving and seen.maybe_container:
        return Step(Action.REMOVE, final)
    return Step(Action.LEAVE if wanted.gone else Action.IDLE, final)


def _closing(now: Step) -> Step:
    """The step, with a status that says: the task may look running until its end, but gets no new connections."""
    if now.status.state.is_terminal:
        return now
    return Step(now.action, msgspec.structs.replace(now.status, closing=True))


def _serves(wanted: Wanted, seen: Observed) -> bool:
    """Whether the task may still receive connections."""
    return seen.reached is TaskState.RUNNING and not seen.failure and not wanted.gone


def _alive(
    wanted: Wanted, seen: Observed, action: Action, state: TaskState, code: Code | None = None, **facts: Fact
) -> Step:
    if seen.final:
        return Step(action, seen.final)
    status = TaskStatus(
        state=max(state, seen.reached),
        reason=reason(code, seen.trouble, **facts) if code else seen.trouble,
        container_id=container_id(wanted.order.id) if seen.created else "",
        pid=seen.pid if seen.running else 0,
        ports=list(seen.ports) if seen.running else [],
    )
    return Step(action, status)


def _verdict(wanted: Wanted, seen: Observed) -> TaskStatus:
    state, why = _end(wanted, seen)
    return TaskStatus(
        state=state,
        reason=why,
        container_id=container_id(wanted.order.id) if seen.exit else "",
        exit_code=seen.exit.code if seen.exit else None,
    )


def _end(wanted: Wanted, seen: Observed) -> tuple[TaskState, Reason | None]:
    code = seen.exit.code if seen.exit else 0
    if seen.failure:
        return seen.failure.state, seen.failure.reason
    if seen.health.state is HealthState.UNHEALTHY:
        return TaskState.FAILED, health.complaint(seen.health, code)
    if wanted.stopping:
        return TaskState.SHUTDOWN, None
    if code == 0:
        return TaskState.COMPLETE, None
    killed = seen.exit is not None and seen.exit.oom
    return TaskState.FAILED, reason(Code.OUT_OF_MEMORY if killed else Code.NON_ZERO_EXIT, exit_code=code)
