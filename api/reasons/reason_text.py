"""Reasons as text: the only renderer. Texts are Docker's and swarmkit's where they have one.

No code parses these texts. `docs/design/reasons.md` lists the codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from api.errors import ArgosyError
from api.reasons.reason import ORDINARY, Code, Fact, Reason
from api.states import TaskState

E = TypeVar("E", bound=ArgosyError)

_ERRORS = (TaskState.FAILED, TaskState.REJECTED)
_PAUSED = "paused"


class _Facts(dict[str, Fact]):
    """Facts for a template. A missing fact shows as "?": a sentence with a gap is better than none."""

    def __missing__(self, name: str) -> str:
        return "?"


def _filled(template: str, reason: Reason) -> str:
    return str(template.format_map(_Facts(reason.facts)))


def text(reason: Reason | None) -> str:
    """The sentence, without a full stop; "" for None."""
    if reason is None:
        return ""
    template = _TEXTS[reason.code]
    try:
        return _filled(template, reason) if isinstance(template, str) else template(reason)
    except (ValueError, TypeError):  # a host may send facts of another type
        return _unknown(reason)


def texts(reasons: list[Reason]) -> str:
    """All reasons in one line."""
    return "; ".join(filter(None, map(text, reasons)))


def plain_text(state: TaskState) -> str:
    """The message of a task whose state needs no reason."""
    return ORDINARY.get(state, str(state.value))


def task_message(state: TaskState, reason: Reason | None) -> str:
    """Docker's Status.Message: what the task is doing."""
    return plain_text(state) if reason is None or state in _ERRORS else text(reason)


def task_error(state: TaskState, reason: Reason | None) -> str:
    """Docker's Status.Err: why the task failed or was rejected; "" for other tasks."""
    return text(reason) if state in _ERRORS else ""


def update_message(state: str, reason: Reason | None) -> str:
    """Docker's UpdateStatus.Message. `state` is an UpdateStatus.State."""
    what = _UPDATES.get(state, state)
    if state == "rollback_started" and reason is None:
        return "manually requested rollback"
    if reason is None or state in ("updating", "completed", "rollback_completed"):
        return what
    if whole := reason.fact("message"):  # a sentence stored by a version that had no reasons
        return whole
    return f"{what} due to {text(reason)}" if reason.code is Code.TASK_ENDED_EARLY else f"{what}: {text(reason)}"


def refusal(kind: type[E], reason: Reason) -> E:
    """An error to raise, with the reason and its text."""
    error = kind(text(reason))
    error.reason = reason
    return error


_UPDATES = {
    "updating": "update in progress",
    "paused": "update paused",
    "completed": "update completed",
    "rollback_started": "update rolled back",
    "rollback_paused": "rollback paused",
    "rollback_completed": "rollback completed",
}


# ── sentences that need more than a template ─────────────────────────────────────────────────────────────────────


def _nodes(one: str, many: str) -> Callable[[Reason], str]:
    def render(reason: Reason) -> str:
        return _filled(one if reason.facts.get("nodes") == 1 else many, reason)

    return render


def _with_cause(template: str, separator: str = ": ", otherwise: str = "") -> Callable[[Reason], str]:
    """The template, followed by the first reason in `because` (or by `otherwise`)."""

    def render(reason: Reason) -> str:
        rest = text(reason.first) or otherwise
        told = _filled(template, reason)
        return f"{told}{separator}{rest}" if rest else told

    return render


def _cause_first(template: str) -> Callable[[Reason], str]:
    """The first reason in `because`, then the template."""

    def render(reason: Reason) -> str:
        return f"{text(reason.first)}{_filled(template, reason)}"

    return render


def _no_suitable_node(reason: Reason) -> str:
    return f"no suitable node ({texts(reason.because)})" if reason.because else "no suitable node"


def _network_without_subnet(reason: Reason) -> str:
    return f"network {reason.fact('network')}: {text(reason.first) or 'it has no subnet yet'}"


def _address_pool(reason: Reason) -> str:
    user = f" (hosts use some of it themselves: {reason.fact('user')})" if reason.fact("user") else ""
    return f"no subnet is left in the cluster's address pool {reason.fact('pools')}{user}"


def _subnet_refused(reason: Reason) -> str:
    template = "{path}: {subnet} overlaps {user}; choose another subnet"
    return _filled(template if reason.fact("kind") == "host" else "{path}: {subnet} overlaps with {user}", reason)


_PORT_MODES = {"host": "a host-published", "ingress": "an ingress"}


def _port_taken(reason: Reason) -> str:
    how = _PORT_MODES.get(reason.fact("mode"), "")
    holder = f"'{reason.fact('service')}' ({reason.fact('service_id')})"
    told = f"port '{reason.fact('port')}' is already in use by service {holder}"
    return f"{told} as {how} port" if how else told


_CONDITIONS = {"started": "to start", "healthy": "to be healthy", "completed": "to complete"}


def _dependency(reason: Reason) -> str:
    condition = reason.fact("condition")
    return f"service {reason.fact('service')} {_CONDITIONS.get(condition, condition)}"


def _waiting_for_services(reason: Reason) -> str:
    return f"waiting for {', '.join(map(text, reason.because))}"


def _no_progress(reason: Reason) -> str:
    told = f"no progress for {float(reason.facts.get('seconds', 0)):g} seconds"
    if task := reason.fact("task"):
        why = text(reason.first) or "it does not say why"
        return f"{told}: task {task} is {reason.fact('state')}: {why}"
    return told


def _exit(reason: Reason, why: str = "") -> str:
    code = reason.facts.get("exit_code", 0)
    parts = [f"non-zero exit ({code})" if code else "", why]
    return f"task: {': '.join(filter(None, parts))}"


def _unhealthy(reason: Reason) -> str:
    failures = reason.facts.get("failures", 1)
    times = "once" if failures == 1 else f"{failures} times in a row"
    output, code = reason.fact("text"), reason.facts.get("probe_code")
    last = output or (f"exit code {code}" if code is not None else "")
    how = f", last with: {last}" if last else ""
    return _exit(reason, f"unhealthy container: its health check failed {times}{how}")


def _given_up(reason: Reason) -> str:
    restarts = reason.facts.get("restarts")
    tried = f" after {restarts} restarts" if restarts else ""
    return f"{text(reason.first)}; the restart policy wants no other task{tried}"


def _replaced_later(reason: Reason) -> str:
    slowed = reason.because[1:]
    why = f" ({texts(slowed)})" if slowed else ""
    return f"{text(reason.first)}; it is replaced in {reason.fact('seconds')} s{why}"


def _task_failed(reason: Reason) -> str:
    return f"{reason.fact('task')} failed{_times(reason)}: {text(reason.first) or 'it does not say why'}"


def _task_ended(reason: Reason) -> str:
    return (
        f"{reason.fact('task')} ended{_times(reason)}, with exit code 0; what is to run once needs the restart"
        ' condition none or on-failure (`restart: "no"`), or to be a job'
    )


def _times(reason: Reason) -> str:
    times = reason.facts.get("times", 1)
    return "" if times == 1 else f" {times} times"


def _tasks_without_node(reason: Reason) -> str:
    tasks = reason.facts.get("tasks", 1)
    return f"{tasks} task{'' if tasks == 1 else 's'} found no node: {text(reason.first)}"


def _on_their_way(reason: Reason) -> str:
    states, why = reason.fact("states"), text(reason.first)
    return f"{states} ({why})" if states and why else states or why


def _tasks_lost(reason: Reason) -> str:
    tasks = reason.facts.get("tasks", 1)
    told = "1 task that ran before does not run" if tasks == 1 else f"{tasks} tasks that ran before do not run"
    return f"{told}: {text(reason.first)}" if reason.because else told


def _rolled_back(reason: Reason) -> str:
    told = f"revision {reason.fact('revision')} was rolled back to revision {reason.fact('to')}"
    return f"{told}: {text(reason.first) or 'rollback completed'}"


def _rolling_back(reason: Reason) -> str:
    return update_message("rollback_started", reason.first)


def _paused(state: str) -> Callable[[Reason], str]:
    return lambda reason: update_message(state, reason.first)


def _overlap(reason: Reason) -> str:
    where = f"network {reason.fact('network')}: " if reason.fact("network") else ""
    return f"{where}{reason.fact('prefix')} of host {reason.fact('host')} overlaps its {reason.fact('subnet')}"


def _service_is(reason: Reason) -> str:
    why = f": {texts(reason.because)}" if reason.because else ""
    return f"{reason.fact('service')} is {reason.fact('state')}{why}"


def _unknown(reason: Reason) -> str:
    if said := reason.fact("text"):
        return said
    facts = ", ".join(f"{name} {fact}" for name, fact in sorted(reason.facts.items()))
    return (
        f"a reason that this version does not know ({facts})" if facts else "a reason that this version does not know"
    )


_TEXTS: dict[Code, str | Callable[[Reason], str]] = {
    Code.TEXT: "{text}",
    Code.UNKNOWN: _unknown,
    # these texts are of swarmkit manager/scheduler/filter.go: users and their scripts know them
    Code.NO_SUITABLE_NODE: _no_suitable_node,
    Code.NODE_UNAVAILABLE: _nodes("1 node not available for new tasks", "{nodes} nodes not available for new tasks"),
    Code.INSUFFICIENT_RESOURCES: _nodes("insufficient resources on 1 node", "insufficient resources on {nodes} nodes"),
    Code.CONSTRAINTS_NOT_SATISFIED: _nodes(
        "scheduling constraints not satisfied on 1 node", "scheduling constraints not satisfied on {nodes} nodes"
    ),
    Code.UNSUPPORTED_PLATFORM: _nodes("unsupported platform on 1 node", "unsupported platform on {nodes} nodes"),
    Code.DEVICE_NOT_OFFERED: _nodes("{devices} not offered on 1 node", "{devices} not offered on {nodes} nodes"),
    Code.HOST_PORT_IN_USE: _nodes(
        "host-mode port already in use on 1 node", "host-mode port already in use on {nodes} nodes"
    ),
    Code.MAX_REPLICAS_PER_NODE: "max replicas per node limit exceed",
    Code.NO_SUCH_NETWORK: "network {network} does not exist",
    Code.NETWORK_BEING_REMOVED: "network {network} is being removed",
    Code.NETWORK_WITHOUT_SUBNET: _network_without_subnet,
    Code.SUBNET_UNUSABLE: "its subnet cannot be used: {text}",
    Code.SUBNET_TOO_SMALL: "subnet {subnet} is too small; the smallest is a /{longest}",
    Code.RANGE_OUTSIDE_SUBNET: "IP range {range} is not inside subnet {subnet}",
    Code.SUBNET_OVERLAPS_NETWORK: "subnet {subnet} overlaps with that of network {network}",
    Code.SUBNET_OVERLAPS: "subnet {subnet} overlaps {user}",
    Code.WAITING_FOR_FIRST_HOST: "it gets a subnet when the first host has said which it uses itself",
    Code.ADDRESS_POOL_EXHAUSTED: _address_pool,
    Code.NO_ADDRESS_LEFT: "no address is left in network {network}",
    Code.NO_BRIDGE_ADDRESS_LEFT: "no address is left in network {network} for the bridge of its node",
    Code.NO_VIRTUAL_ADDRESS_LEFT: "no virtual address is left in network {network}",
    Code.ADDRESS_TAKEN: (
        "address {address} of network {network} is in use, or kept for the network itself or for virtual addresses"
    ),
    Code.PORT_TAKEN: _port_taken,
    Code.NO_PORT_LEFT: "no port is left between {low} and {high}",
    Code.SUBNET_REFUSED: _subnet_refused,
    Code.ADDRESS_OUTSIDE_SUBNET: (
        "TaskTemplate.Networks: address {address} is not in subnet {subnet} of network {network}"
    ),
    Code.BEING_TAKEN_UP: "the service is being taken up",
    Code.WAITING_FOR_SERVICES: _waiting_for_services,
    Code.DEPENDENCY: _dependency,
    Code.WAITS_FOR_ITSELF: "DependsOn: {service} would wait for itself: {way}",
    Code.NODE_REMOVED: "the node was removed",
    Code.NODE_DOWN: "the node is down",
    Code.NODE_DRAINED: "the node is being drained",
    Code.DRAIN_WAITS: "the node is being drained; this task goes on until its replacement runs",
    Code.NODE_DOWN_TOO_LONG: "the node has been down for too long",
    Code.CONSTRAINTS_NOT_MET: "assigned node no longer meets constraints",
    Code.RESOURCES_GONE: "assigned node no longer has the resources that the task reserves",
    Code.YIELDS_TO_SUCCESSOR: "stopped before its successor runs, which finds no place beside it",
    Code.RUN_TOO_LONG: "the run has taken longer than its active deadline of {seconds:g} s",
    Code.HOST_SILENT: "its host does not answer",
    Code.AGENT_SILENT: "its agent does not answer",
    Code.TASK_ENDED_EARLY: _with_cause("failure or early termination of task {task}"),
    Code.NO_PROGRESS: _no_progress,
    Code.NO_PREVIOUS_REVISION: "service {service} does not have a previous spec",
    Code.REVISION_NOT_KEPT: "revision {revision} of service {service} is not kept; kept are {kept}",
    Code.GETTING_IMAGE: _with_cause("getting image {image}"),
    Code.WAITING_FOR_NETWORKS: _with_cause("waiting for its networks"),
    Code.WAITING_FOR_FILES: "waiting for {files}",
    Code.WAITING_FOR_TURN: "waiting for its turn to start",
    Code.POST_START: "running its post_start commands",
    Code.HEALTH_CHECK_PENDING: "waiting for its health check",
    Code.STOPPING_UNHEALTHY: _with_cause("stopping: unhealthy"),
    Code.DRAINING: "draining",
    Code.STOPPING: _with_cause("stopping"),
    Code.CLEANING_UP: _with_cause("cleaning up"),
    Code.NOT_HANDLED: "cannot be handled, trying again: {text}",
    Code.IMAGE_UNAVAILABLE: "{text}",
    Code.NETWORK_FAILED: "{text}",
    Code.CREATE_FAILED: "{text}",
    Code.START_FAILED: "{text}",
    Code.POST_START_FAILED: "{text}",
    Code.HOST_FAILED: "{text}",
    Code.NON_ZERO_EXIT: _exit,
    Code.OUT_OF_MEMORY: lambda reason: _exit(reason, "out of memory: killed at its memory limit"),
    Code.UNHEALTHY: _unhealthy,
    Code.CONTAINER_LOST: "task: its container is gone: it was removed, or its files were lost",
    Code.NODE_SILENT: "its node {node} does not answer",
    Code.BEING_STOPPED: _with_cause("is being stopped"),
    Code.WAITING_FOR_ADDRESSES: "waits for addresses on its networks",
    Code.WAITING_FOR_NODE: "waits to be placed on a node",
    Code.NOT_BEGUN: "node {node} has not begun with it yet",
    Code.IN_STATE: "{state}",
    Code.COMPLETED: "it ended by itself with exit code 0",
    Code.NODE_LOST: _with_cause("was lost", otherwise="its node is gone"),
    Code.REFUSED_BY_NODE: "its node refused it",
    Code.FAILED: "it failed",
    Code.STOPPED: "it was stopped",
    Code.GIVEN_UP: _given_up,
    Code.REPLACED_LATER: _replaced_later,
    Code.KEEPS_ENDING: (
        "it keeps ending: {restarts} restarts within {minutes:g} minutes, so each waits twice as long as the one"
        " before, up to {most:g} s"
    ),
    Code.REPLACED_SOON: _cause_first("; it is about to be replaced"),
    Code.NODE_TAKES_NO_TASKS: "its node {node} takes no tasks now",
    Code.SERVICE_REMOVED: "the service was removed meanwhile",
    Code.NO_LEADER: "no manager leads now, so nothing is decided",
    Code.NOT_TAKEN_UP: "the leader has not taken up the newest spec yet",
    Code.SECRETS_BY_DECLARATION: "its secrets go to hosts chosen by {keys}, which hosts say of themselves",
    Code.HOST_OVERLAPS_NETWORK: _overlap,
    Code.UPDATING: "update in progress",
    Code.ROLLING_BACK: _rolling_back,
    Code.UPDATE_PAUSED: _paused(_PAUSED),
    Code.ROLLBACK_PAUSED: _paused("rollback_paused"),
    Code.ROLLED_BACK: _rolled_back,
    Code.SCALED_TO_ZERO: "the service is wanted with 0 replicas",
    Code.NO_NODE_FITS: ("no node can take a task ({nodes} in the cluster, {ready} ready, {active} of them active)"),
    Code.TASKS_NOT_MADE: "{tasks} tasks have not been made yet",
    Code.SCHEDULE_SUSPENDED: "its schedule is suspended",
    Code.RUN_SKIPPED: "the run due at {due} was skipped: one before was at work",
    Code.RUN_FAILED: "run {run}, due at {due}, failed",
    Code.RUN_MISSED: "run {run}, due at {due}, was missed",
    Code.TASK_FAILED: _task_failed,
    Code.TASK_ENDED: _task_ended,
    Code.TASKS_WITHOUT_NODE: _tasks_without_node,
    Code.TASKS_ON_THEIR_WAY: _on_their_way,
    Code.TASKS_LOST: _tasks_lost,
    Code.LAST_FAILURE: _with_cause("last failure"),
    Code.BEING_WATCHED: "watching whether it stays up",
    Code.UPDATE_FAILED: _with_cause("the update failed and was rolled back"),
    Code.SERVICE_IS: _service_is,
}
"""A template over the facts, or a function of the reason. tests/api/reasons checks that each code has one."""
