"""Decided objects: written only by the leader, fenced by its term. Times are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from api.codec import Value
from api.reasons.reason import Code, Fact, Reason, text_only
from api.service.ports import PortConfig
from api.service.resources import GenericResource
from api.service.service_spec import ServiceSpec
from api.states import NodeState, TaskState


class Revision(Value, frozen=True):
    """A service's spec at one revision, stored for its tasks and for rollback. Store id: "<service>.<number>"."""

    service_id: str
    number: int
    spec: ServiceSpec
    created_at: float = 0.0


class TaskAddress(Value, frozen=True):
    """A task's address on one network: "10.0.1.7/24"."""

    network_id: str
    address: str


class Task(Value, frozen=True):
    """One attempt to fill a slot, as the leader decided it: references, not copies.

    `state` is set by managers (NEW, PENDING, ASSIGNED; ORPHANED for a task of a lost node); later states are in the
    agent's TaskStatus under the same id.
    """

    id: str
    service_id: str
    revision: int
    slot: int = 0
    """From 1; 0 for tasks bound to a node (global services)."""
    node_id: str = ""
    state: TaskState = TaskState.NEW
    desired: TaskState = TaskState.RUNNING
    """RUNNING, COMPLETE (jobs), SHUTDOWN or REMOVE."""
    addresses: list[TaskAddress] = []
    """Freed (emptied) once the task has ended."""
    created_at: float = 0.0
    updated_at: float = 0.0
    old_message: str = msgspec.field(default="", name="Message")
    """As written before there were reasons; read into `reason`."""
    job_iteration: int = 0
    """For jobs: the revision it works for; for scheduled jobs: the number of the run."""
    restarts: list[float] = []
    """Times at which earlier tasks of the slot with the same TaskSpec were restarted after they had ended by
    themselves."""
    generic_resources: list[GenericResource] = []
    """The node's generic resources that it got when it was assigned."""
    replaces: str = ""
    """The task of the same slot that runs until this one runs (relocation to another node); "" for none."""
    reason: Reason | None = None
    """Why it is in its state; for a pending task, why no node accepts it."""

    def __post_init__(self) -> None:
        if self.old_message:
            force_setattr(self, "reason", self.reason or text_only(self.old_message))
            force_setattr(self, "old_message", "")


class NetworkDecision(Value, frozen=True):
    """Subnet and number of a network. Store id: the network's."""

    subnet: str
    """CIDR; its first address is never allocated."""
    vip_range: str
    """CIDR inside the subnet, reserved for VIPs; "" when services on it have none."""
    vni: int


class ServiceVIP(Value, frozen=True):
    """A service's virtual address on one network (no prefix length)."""

    network_id: str
    address: str


class UpdateStatus(Value, frozen=True):
    """The progress of an update or rollback. `state`: updating, paused, completed, rollback_started, …"""

    state: str = ""
    started_at: float = 0.0
    completed_at: float = 0.0
    old_message: str = msgspec.field(default="", name="Message")
    """As written before there were reasons; read into `reason`, as `old_reason` is."""
    revision: int = 0
    """The target revision."""
    total: int = 0
    """Number of slots to be changed when it began."""
    failures: int = 0
    """Number of new tasks that ended too early."""
    done: int = 0
    """Highest number of slots that were done at the same time."""
    progressed_at: float = 0.0
    """When `done` last grew."""
    old_reason: str = msgspec.field(default="", name="Reason")
    reason: Reason | None = msgspec.field(default=None, name="Why")
    """Why it was paused or rolled back; None when unknown, or when a user requested the rollback."""

    def __post_init__(self) -> None:
        if self.old_message or self.old_reason:
            if self.old_reason and self.reason is None:
                facts: dict[str, Fact] = {"text": self.old_reason, "message": self.old_message}
                force_setattr(self, "reason", Reason(Code.TEXT, facts))
            force_setattr(self, "old_message", "")
            force_setattr(self, "old_reason", "")


class JobRun(Value, frozen=True):
    """One run of a scheduled job. Its tasks have its number as their `job_iteration`."""

    number: int
    due_at: float = 0.0
    started_at: float = 0.0
    """0 for a run that was not started."""
    ended_at: float = 0.0
    outcome: Literal["running", "completed", "failed", "replaced", "missed", "skipped"] = "running"
    """failed: a task failed and is not tried again; missed: there was no leader to start it in time; skipped: the
    previous run was still running, or the schedule was suspended."""
    revision: int = 0
    """The service's revision in force when it began."""
    base: int = 0
    """Its slots are base + 1 to base + total, so that concurrent runs have different slots."""
    total: int = 0


class ServiceDecision(Value, frozen=True):
    """What the leader decided for a service. Store id: the service's."""

    vips: list[ServiceVIP] = []
    ports: list[PortConfig] = []
    """Ports in ingress mode; published ports that the user left open are filled in."""
    update: UpdateStatus | None = None
    revision: int = 0
    """The revision in force, which new tasks get. Not the wanted one after an automatic rollback."""
    wanted: int = 0
    """The newest Service.revision that the leader has handled."""
    previous: int = 0
    """Target of a rollback: the last earlier revision that all slots had reached (updates/revisions.py); 0 for none."""
    old_message: str = msgspec.field(default="", name="Message")
    """As written before there were reasons; read into `reason`, as `old_waits` is into `waiting`."""
    old_waits: str = msgspec.field(default="", name="Waits")
    held: bool = False
    """Whether the revision in force waits, so that its tasks stay NEW. Otherwise the wanted one waits to come into
    force."""
    runs: list[JobRun] = []
    """A scheduled job's last runs, oldest first."""
    scheduled_to: float = 0.0
    """Time up to which all due runs have been decided; 0 without a schedule."""
    schedule: str = ""
    """The cron expression and time zone that `scheduled_to` belongs to."""
    reason: Reason | None = None
    """Which address or port could not be allocated, and why."""
    waiting: Reason | None = None
    """The other services that it waits for; None when it does not wait."""

    def __post_init__(self) -> None:
        if self.old_message or self.old_waits:
            force_setattr(self, "reason", self.reason or text_only(self.old_message))
            force_setattr(self, "waiting", self.waiting or text_only(self.old_waits))
            force_setattr(self, "old_message", "")
            force_setattr(self, "old_waits", "")


class Gateway(Value, frozen=True):
    """The address of one node's bridge on one network: "10.0.1.2/24"."""

    network_id: str
    address: str


class NodeDecision(Value, frozen=True):
    """State and addresses of a node, as the leader decided. Store id: the node's."""

    state: NodeState = NodeState.UNKNOWN
    since: float = 0.0
    """Time at which `state` was decided."""
    old_message: str = msgspec.field(default="", name="Message")
    """As written before there were reasons; read into `reason`."""
    gateways: list[Gateway] = []
    """One per network with a task on the node; on ingress every node has one."""
    reason: Reason | None = None
    """Why it is down."""

    def __post_init__(self) -> None:
        if self.old_message:
            force_setattr(self, "reason", self.reason or text_only(self.old_message))
            force_setattr(self, "old_message", "")
