"""A task's life as one step function: what is wanted and what is seen in, the next action and the status out. Pure.

    way up:    FETCH → CONNECT → QUEUE → OPEN → CREATE → START → (HOOK) → WATCH
    way down:  (DRAIN → LINGER) → STOP → (REMOVE a container that never ran) → CLOSE → terminal status
               → IDLE, or REMOVE → LEAVE

The runner performs the action and asks again. Two rules carry the rest of the system:
- a terminal status is told only after the sandbox is closed, as its addresses may be given to another task then;
- a status never goes back: what was reached is reached, also over a restart of the agent.
Source of states, messages and error texts: swarmkit agent/exec/controller.go `Do`, moby daemon/cluster/executor.
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
    """What a runner does next."""

    IDLE = auto()
    """Nothing, until what is wanted changes."""
    FETCH = auto()
    CONNECT = auto()
    """Wait until its networks exist on this host."""
    QUEUE = auto()
    """Wait for one of the host's places for containers being started."""
    OPEN = auto()
    CREATE = auto()
    START = auto()
    HOOK = auto()
    """Run its post_start commands."""
    WATCH = auto()
    """Wait for its end, and probe its health."""
    DRAIN = auto()
    """Wait until the managers say that no host sends it new connections."""
    LINGER = auto()
    """Leave time to connections that were under way then."""
    STOP = auto()
    CLOSE = auto()
    REMOVE = auto()
    LEAVE = auto()
    """Nothing is left of the task."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the managers want of a task."""

    order: TaskAssignment
    spec: SpecAssignment | None = None
    """None while it has not come."""
    peers: tuple[str, ...] = ()
    """Hosts that can give the image."""
    image: str = ""
    """Its reference, with the digest that managers know for a tag; "" as the spec has it."""
    files: tuple[SecretAssignment | ConfigAssignment, ...] = ()
    """Its secrets and configs, as far as they have come."""
    lacking: tuple[str, ...] = ()
    """Those that have not: "secret password"."""
    gone: bool = False
    """No longer in the assignments: nobody wants to hear of it."""

    @property
    def stopping(self) -> bool:
        """Whether the task is to end."""
        return self.gone or self.order.desired >= TaskState.SHUTDOWN

    @property
    def leaving(self) -> bool:
        """Whether nothing of the task is to stay."""
        return self.gone or self.order.desired >= TaskState.REMOVE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task cannot go on."""

    state: TaskState
    """REJECTED or FAILED."""
    reason: Reason


class Observed(msgspec.Struct, frozen=True):
    """What is known of a task on this host. The two `maybe` fields are true until the contrary is known."""

    image: Image | None = None
    connected: bool = False
    turn: bool = False
    netns: str | None = None
    """Path of its network namespace once opened; "" is the host's."""
    ports: tuple[PortStatus, ...] = ()
    """The host's own ports its sandbox holds."""
    created: bool = False
    started: float = 0.0
    drained: bool = False
    """Whether every host has taken it from its DNS and load balancing, or was waited for long enough."""
    lingered: bool = False
    hooked: bool = False
    """Whether its post_start commands have been run."""
    pid: int = 0
    exit: Exit | None = None
    health: Health = NO_HEALTH
    failure: Failure | None = None
    trouble: Reason | None = None
    """Why the action under way is being tried again."""
    maybe_sandbox: bool = True
    maybe_container: bool = True
    reached: TaskState = TaskState.ACCEPTED
    """The furthest state told so far."""
    final: TaskStatus | None = None
    """The terminal status, once told."""

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.pid > 0 and self.exit is None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and what to tell (no timestamp: the runner gives it one when it differs from the last)."""

    action: Action
    status: TaskStatus


def step(wanted: Wanted, seen: Observed) -> Step:
    """The next step of a task. Asked again after every change of either argument."""
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
        # Not RUNNING: one that never was ready must not look so now.
        if _serves(wanted, seen):
            if wanted.order.draining and not seen.drained:
                return _alive(wanted, seen, Action.DRAIN, seen.reached, Code.DRAINING)
            if wanted.order.linger and not seen.lingered:
                return _alive(wanted, seen, Action.LINGER, seen.reached, Code.DRAINING)
        return _alive(wanted, seen, Action.STOP, seen.reached, Code.STOPPING)
    if seen.exit is None and seen.final is None and seen.maybe_container:
        # It never ran, or could not be started: no log to keep, and it must not hold the namespace.
        return _alive(wanted, seen, Action.REMOVE, seen.reached, Code.CLEANING_UP)
    if seen.maybe_sandbox:
        return _alive(wanted, seen, Action.CLOSE, seen.reached, Code.CLEANING_UP)
    final = seen.final or _verdict(wanted, seen)
    if wanted.leaving and seen.maybe_container:
        return Step(Action.REMOVE, final)
    return Step(Action.LEAVE if wanted.gone else Action.IDLE, final)


def _closing(now: Step) -> Step:
    """It may look running until its end, but nobody is to connect to it any more."""
    if now.status.state.is_terminal:
        return now
    return Step(now.action, msgspec.structs.replace(now.status, closing=True))


def _serves(wanted: Wanted, seen: Observed) -> bool:
    """Whether connections may still come to it."""
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
