"""Reasons: why something is in its state, as a value of a code and the facts that belong to it.

A reason is made where something is decided or observed (scheduler, allocator, orchestrator, agent), stored and sent as
a value, and turned into text in one place (`reason_text`). No code parses the text: it uses the code and the facts.
The output of another program (a container runtime, a registry) is a fact named `text`, shown to people and never
parsed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from api.codec import Value
from api.states import TaskState

Fact = str | int | float
ORDINARY = {
    TaskState.NEW: "created",
    TaskState.PENDING: "pending task scheduling",
    TaskState.ASSIGNED: "scheduler assigned task to node",
    TaskState.ORPHANED: "the node of the task is lost",
    TaskState.READY: "prepared",
    TaskState.RUNNING: "started",
    TaskState.COMPLETE: "finished",
}
"""The message of a task in a state that needs no reason; for other states, the state's name."""


class Code(StrEnum):
    """The kinds of reasons. Below each: what it means, and its facts. The strings are stored: never change one."""

    TEXT = "text"
    """Text from a version of Argosy that had no reasons: `text`."""
    UNKNOWN = "unknown"
    """A code of a newer version of Argosy. The facts are as that version set them."""

    # ── no node takes a task (scheduler) ──
    NO_SUITABLE_NODE = "no-suitable-node"
    """`because` has one reason for each filter that refused nodes, the one that refused most first. `named`: why
    each node is unavailable, when none is ready and active."""
    NODE_UNAVAILABLE = "node-unavailable"
    """Not ready or not active, on `nodes` nodes. (The next six have this fact too.)"""
    INSUFFICIENT_RESOURCES = "insufficient-resources"
    """Too little CPU, memory or generic resources is left."""
    CONSTRAINTS_NOT_SATISFIED = "constraints-not-satisfied"
    """The placement constraints do not match."""
    UNSUPPORTED_PLATFORM = "unsupported-platform"
    """The image is not built for the node's platform."""
    DEVICE_NOT_OFFERED = "device-not-offered"
    """No CDI file of the node names `devices`."""
    HOST_PORT_IN_USE = "host-port-in-use"
    """A task on the node holds a host-mode port that is asked for."""
    MAX_REPLICAS_PER_NODE = "max-replicas-per-node"
    """The node has the maximum number of tasks of the service."""

    # ── no address, subnet or port (allocator) ──
    NO_SUCH_NETWORK = "no-such-network"
    """`network` (an id) does not exist."""
    NETWORK_BEING_REMOVED = "network-being-removed"
    """`network` is being removed."""
    NETWORK_WITHOUT_SUBNET = "network-without-subnet"
    """`network` has no subnet yet; `because` says why, when that is known."""
    SUBNET_UNUSABLE = "subnet-unusable"
    """The subnet asked for is no subnet: `text`."""
    SUBNET_TOO_SMALL = "subnet-too-small"
    """`subnet` asked for; the longest prefix is `longest`."""
    RANGE_OUTSIDE_SUBNET = "range-outside-subnet"
    """`range` is not inside `subnet`."""
    SUBNET_OVERLAPS_NETWORK = "subnet-overlaps-network"
    """`subnet` asked for overlaps that of `network`."""
    SUBNET_OVERLAPS = "subnet-overlaps"
    """`subnet` asked for overlaps `user`: a host's prefix, or reserved addresses."""
    WAITING_FOR_FIRST_HOST = "waiting-for-first-host"
    """No host has reported yet which addresses it uses itself."""
    ADDRESS_POOL_EXHAUSTED = "address-pool-exhausted"
    """No subnet is left in `pools`; `user` names the part that hosts use themselves."""
    NO_ADDRESS_LEFT = "no-address-left"
    """For tasks in `network`."""
    NO_BRIDGE_ADDRESS_LEFT = "no-bridge-address-left"
    """For the bridge of the task's node in `network`."""
    NO_VIRTUAL_ADDRESS_LEFT = "no-virtual-address-left"
    """For services in `network`."""
    ADDRESS_TAKEN = "address-taken"
    """`address` of `network`, which the service asks for."""
    PORT_TAKEN = "port-taken"
    """`port` is published by `service` (`service_id`), in `mode` where a request is refused."""
    NO_PORT_LEFT = "no-port-left"
    """Between `low` and `high`, from which ports are picked."""
    SUBNET_REFUSED = "subnet-refused"
    """`path`: the `subnet` asked for overlaps `user`: of a `kind`, host or network."""
    ADDRESS_OUTSIDE_SUBNET = "address-outside-subnet"
    """`address`, which the service asks for, is not in `subnet` of `network`."""
    BEING_TAKEN_UP = "being-taken-up"
    """The leader has not processed the service yet."""

    # ── waiting for other services ──
    WAITING_FOR_SERVICES = "waiting-for-services"
    """`because` has one DEPENDENCY for each."""
    DEPENDENCY = "dependency"
    """Waiting until `service` is `condition`: started, healthy or completed."""

    WAITS_FOR_ITSELF = "waits-for-itself"
    """`service` would wait for itself, through the services in `way`."""

    # ── stopped by the orchestrator ──
    NODE_REMOVED = "node-removed"
    """The task's node was removed from the cluster."""
    NODE_DOWN = "node-down"
    """The task's node is down."""
    NODE_DRAINED = "node-drained"
    """The task's node is being drained."""
    DRAIN_WAITS = "drain-waits"
    """The node is being drained, but the task runs until its replacement runs."""
    NODE_DOWN_TOO_LONG = "node-down-too-long"
    """The node has been down for so long that its tasks are given up."""
    CONSTRAINTS_NOT_MET = "constraints-not-met"
    """The task's node no longer meets the constraints."""
    RESOURCES_GONE = "resources-gone"
    """The task's node no longer has the resources that the task reserves."""
    YIELDS_TO_SUCCESSOR = "yields-to-successor"
    """No node has room for its successor beside it, so it is stopped first."""
    RUN_TOO_LONG = "run-too-long"
    """The run of a scheduled job has taken longer than `seconds`."""

    # ── why a node is down ──
    HOST_SILENT = "host-silent"
    """The host does not answer."""
    AGENT_SILENT = "agent-silent"
    """The agent does not answer."""

    # ── why an update stopped ──
    TASK_ENDED_EARLY = "task-ended-early"
    """`task` failed or ended during the monitor period; `because`: the task's own reason."""
    NO_PROGRESS = "no-progress"
    """For `seconds`. When a task delays it: `task` is in `state`, and `because` says why."""

    NO_PREVIOUS_REVISION = "no-previous-revision"
    """`service` has no earlier revision to roll back to."""
    REVISION_NOT_KEPT = "revision-not-kept"
    """`revision` of `service` is not stored any more; `kept` lists those that are."""

    # ── progress of a task on its host (agent) ──
    GETTING_IMAGE = "getting-image"
    """`image` is being fetched; `because`: why the last attempt failed."""
    WAITING_FOR_NETWORKS = "waiting-for-networks"
    """The task's networks do not exist on the host yet."""
    WAITING_FOR_FILES = "waiting-for-files"
    """`files` have not arrived from the managers: "secret password, config motd"."""
    WAITING_FOR_TURN = "waiting-for-turn"
    """The host already starts as many containers as it may at once."""
    POST_START = "post-start"
    """Its post_start commands are running."""
    HEALTH_CHECK_PENDING = "health-check-pending"
    """It runs, and its health check has not passed yet."""
    STOPPING_UNHEALTHY = "stopping-unhealthy"
    """Its health check failed, so it is being stopped."""
    DRAINING = "draining"
    """It takes no new connections and will be stopped."""
    STOPPING = "stopping"
    """It is being stopped."""
    CLEANING_UP = "cleaning-up"
    """It has ended; its container or network namespace is being removed."""
    NOT_HANDLED = "not-handled"
    """The host could not handle it and retries: `text`."""

    # ── why a task ended (agent) ──
    IMAGE_UNAVAILABLE = "image-unavailable"
    """`image` cannot be fetched: `text`."""
    NETWORK_FAILED = "network-failed"
    """Its network namespace cannot be made, or a port of the host is not free: `text`."""
    CREATE_FAILED = "create-failed"
    """Its container cannot be made: `text`."""
    START_FAILED = "start-failed"
    """Its container cannot be started: `text`."""
    POST_START_FAILED = "post-start-failed"
    """A post_start command failed: `text`."""
    HOST_FAILED = "host-failed"
    """Any other failure on the host: `text`."""
    NON_ZERO_EXIT = "non-zero-exit"
    """Its process ended with `exit_code`."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel killed it at its memory limit; `exit_code`."""
    UNHEALTHY = "unhealthy"
    """Its health check failed `failures` times in a row, the last time with output `text` or exit code `probe_code`;
    it was stopped and ended with `exit_code`."""
    CONTAINER_LOST = "container-lost"
    """It was running, and its container no longer exists."""

    # ── explanations of a task (manager/status) ──
    NODE_SILENT = "node-silent"
    """Its node `node` does not answer."""
    BEING_STOPPED = "being-stopped"
    """`because`: why."""
    WAITING_FOR_ADDRESSES = "waiting-for-addresses"
    """The allocator has not given it addresses yet."""
    WAITING_FOR_NODE = "waiting-for-node"
    """The scheduler has not placed it yet."""
    NOT_BEGUN = "not-begun"
    """`node` has not started to handle it."""
    IN_STATE = "in-state"
    """Nothing is known but its `state`."""
    COMPLETED = "completed"
    """It ended by itself with exit code 0."""
    NODE_LOST = "node-lost"
    """It was lost with its node; `because`: why the node is gone."""
    REFUSED_BY_NODE = "refused-by-node"
    """Its node rejected it without a reason."""
    FAILED = "failed"
    """It failed without a reason."""
    STOPPED = "stopped"
    """It was stopped."""
    GIVEN_UP = "given-up"
    """It ended (`because`), and the restart policy allows no other task after `restarts` restarts."""
    REPLACED_LATER = "replaced-later"
    """It ended (`because`), and is replaced in `seconds`."""
    KEEPS_ENDING = "keeps-ending"
    """Why a replacement waits longer than the policy's delay: `restarts` within `minutes`; at most `most` seconds."""
    REPLACED_SOON = "replaced-soon"
    """It ended (`because`), and is about to be replaced."""
    NODE_TAKES_NO_TASKS = "node-takes-no-tasks"
    """It is bound to `node`, which takes no tasks now."""

    # ── explanations of a service (manager/status) ──
    SERVICE_REMOVED = "service-removed"
    """It no longer exists."""
    NO_LEADER = "no-leader"
    """No manager leads, so nothing is decided."""
    NOT_TAKEN_UP = "not-taken-up"
    """The leader has not processed the newest spec yet."""
    SECRETS_BY_DECLARATION = "secrets-by-declaration"
    """Its secrets go to hosts chosen by `keys`, which hosts report about themselves."""
    HOST_OVERLAPS_NETWORK = "host-overlaps-network"
    """`prefix` of `host` overlaps `subnet` of `network`."""
    UPDATING = "updating"
    """An update is in progress."""
    ROLLING_BACK = "rolling-back"
    """A rollback is in progress; `because`: why, unless a user asked for it."""
    UPDATE_PAUSED = "update-paused"
    """`because`: why."""
    ROLLBACK_PAUSED = "rollback-paused"
    """`because`: why."""
    ROLLED_BACK = "rolled-back"
    """The update to `revision` failed, and `to` is in force again; `because`: why."""
    SCALED_TO_ZERO = "scaled-to-zero"
    """Its user wants 0 replicas."""
    NO_NODE_FITS = "no-node-fits"
    """No node fits a global service: `nodes` in the cluster, `ready` of them ready, `active` of those active."""
    TASKS_NOT_MADE = "tasks-not-made"
    """`tasks` are still to be made."""
    SCHEDULE_SUSPENDED = "schedule-suspended"
    """No run is started."""
    RUN_SKIPPED = "run-skipped"
    """The run due at `due` was skipped: an earlier one was still running."""
    RUN_FAILED = "run-failed"
    """`run`, due at `due`, failed."""
    RUN_MISSED = "run-missed"
    """`run`, due at `due`, was missed: no leader could start it in time."""
    TASK_FAILED = "task-failed"
    """`task` failed `times` times; `because`: why, the last time."""
    TASK_ENDED = "task-ended"
    """`task` ended `times` times with exit code 0, and is started again each time."""
    TASKS_WITHOUT_NODE = "tasks-without-node"
    """`tasks` have had no node, address or port for `patience` seconds or longer; `because`: why."""
    TASKS_ON_THEIR_WAY = "tasks-on-their-way"
    """The number of tasks in each state, as `states` ("2 preparing, 1 pending"); `because`: why one of them is."""
    TASKS_LOST = "tasks-lost"
    """`tasks` that ran before do not run now; `because`: why one of them does not."""
    LAST_FAILURE = "last-failure"
    """`because`: the reason of the task that failed last."""
    BEING_WATCHED = "being-watched"
    """All tasks run, and are being watched for a moment."""
    UPDATE_FAILED = "update-failed"
    """The update failed and was rolled back; `because`: why."""
    SERVICE_IS = "service-is"
    """In a stack, the verdict on `service` is `state`; `because`: why."""

    @classmethod
    def _missing_(cls, _: object) -> Code:
        """UNKNOWN for a code that a newer version of Argosy has written."""
        return cls.UNKNOWN


class Reason(Value, frozen=True):
    """A reason: its code, its facts and the reasons behind it."""

    code: Code
    facts: dict[str, Fact] = {}
    because: list[Reason] = []
    """The reasons behind this one."""

    @property
    def first(self) -> Reason | None:
        """The first of `because`."""
        return self.because[0] if self.because else None

    def fact(self, name: str) -> str:
        """A fact as text; "" when the reason does not have it."""
        return str(self.facts.get(name, ""))


def reason(code: Code, /, *because: Reason | None, **facts: Fact) -> Reason:
    """A reason. Reasons in `because` that are None are left out."""
    return Reason(code, facts, [one for one in because if one is not None])


def text_only(text: str) -> Reason | None:
    """The reason of an object that was stored before there were reasons; None for ""."""
    return Reason(Code.TEXT, {"text": text}) if text else None


def clipped(value: Reason, most: int) -> Reason:
    """The reason with each text in it, at any depth, cut to `most` characters."""
    facts: dict[str, Any] = {
        name: f"{fact[: most - 1]}…" if isinstance(fact, str) and len(fact) > most else fact
        for name, fact in value.facts.items()
    }
    return Reason(value.code, facts, [clipped(one, most) for one in value.because])
