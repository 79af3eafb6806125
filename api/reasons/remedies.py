"""Remedies: what helps against a reason, as text for people.

A remedy depends on the reason's code and facts only; manager/status/placement_facts.py adds facts from the state that
make it concrete."""

from __future__ import annotations

from collections.abc import Callable

from api.reasons.reason import Code, Reason

WAIT = "wait a moment"
_LOGS = "look at its log: `argosy service logs`"
_SPEC = "mend the service's spec, or what the node lacks"


def remedy(reason: Reason) -> str:
    """What the user can do; "" when there is nothing to do."""
    advice = _REMEDIES.get(reason.code, "")
    return advice if isinstance(advice, str) else advice(reason)


def _no_suitable_node(reason: Reason) -> str:
    if "named" in reason.facts:
        return f"there is no node that is ready and active: {_unavailable(reason)}"
    found = [remedy(one) for one in reason.because]
    return "; or ".join(dict.fromkeys(filter(None, found))) or WAIT


def _resources(reason: Reason) -> str:
    reserved = reason.fact("reserved")
    return f"reserve less{f' than {reserved}' if reserved else ''}, stop something, or add a node: `argosy node ls`"


def _constraints(reason: Reason) -> str:
    how = f"`argosy node update --label-add {reason.fact('label') or 'KEY=VALUE'} NODE`"
    unmet = reason.fact("unmet")
    return f"change the constraints{f' ({unmet})' if unmet else ''}, or label a node: {how}"


def _host_port(reason: Reason) -> str:
    port = reason.fact("ports") or "this one"
    return f"publish another port than {port}, free it, or publish through the mesh (mode ingress)"


def _maximum(reason: Reason) -> str:
    most = reason.facts.get("most")
    if not isinstance(most, int):
        return "raise the maximum per node, or add a node"
    how = f"`argosy service update --replicas-max-per-node {most + 1} {reason.fact('service')}`"
    return f"raise the maximum per node (it is {most}): {how}, or add a node"


def _unavailable(reason: Reason) -> str:
    named = f" ({reason.fact('named')})" if reason.fact("named") else ""
    return f"start a node or set it active: `argosy node update --availability active NODE`{named}"


def _of_first(reason: Reason) -> str:
    return remedy(reason.first) if reason.first else ""


def _given_up(reason: Reason) -> str:
    end = _of_first(reason)
    if reason.facts.get("scheduled"):
        return f"{end}, then wait for the next run"
    return f"{end}, then start anew: `argosy service update --force {reason.fact('service')}`"


def _scaled_to_zero(reason: Reason) -> str:
    return f"argosy service scale {reason.fact('service')}=1"


def _paused(reason: Reason) -> str:
    return f"mend the spec and update again, or go back with `argosy service rollback {reason.fact('service')}`"


def _rolled_back(reason: Reason) -> str:
    ps = f"`argosy service ps {reason.fact('service')}`"
    return f"see what the failed tasks said ({ps}), and update with a spec that works"


def _run_failed(reason: Reason) -> str:
    return f"see its tasks: `argosy service ps {reason.fact('service')}`"


_NETWORKS = "see that its networks exist and have free addresses: `argosy network inspect`"
_ADDRESS = "free the address or port, or ask for another one in the service's spec"
_NOTHING = "nothing; it is replaced"
_REMEDIES: dict[Code, str | Callable[[Reason], str]] = {
    Code.NO_SUITABLE_NODE: _no_suitable_node,
    Code.NODE_UNAVAILABLE: _unavailable,
    Code.INSUFFICIENT_RESOURCES: _resources,
    Code.CONSTRAINTS_NOT_SATISFIED: _constraints,
    Code.UNSUPPORTED_PLATFORM: "use an image built for these machines, or add a node of its platform",
    Code.DEVICE_NOT_OFFERED: ("name the device in a CDI file (/etc/cdi) of a node that has it, or ask for another"),
    Code.HOST_PORT_IN_USE: _host_port,
    Code.MAX_REPLICAS_PER_NODE: _maximum,
    Code.NO_SUCH_NETWORK: _NETWORKS,
    Code.NETWORK_BEING_REMOVED: _NETWORKS,
    Code.NETWORK_WITHOUT_SUBNET: _NETWORKS,
    Code.NO_ADDRESS_LEFT: _NETWORKS,
    Code.NO_BRIDGE_ADDRESS_LEFT: _NETWORKS,
    Code.NO_VIRTUAL_ADDRESS_LEFT: _ADDRESS,
    Code.ADDRESS_TAKEN: _ADDRESS,
    Code.PORT_TAKEN: _ADDRESS,
    Code.NO_PORT_LEFT: _ADDRESS,
    Code.SUBNET_REFUSED: "choose another subnet",
    Code.ADDRESS_OUTSIDE_SUBNET: _ADDRESS,
    Code.WAITING_FOR_ADDRESSES: _NETWORKS,
    Code.WAITING_FOR_NODE: _no_suitable_node,
    Code.WAITING_FOR_SERVICES: "wait; `argosy service explain` on what is waited for says what keeps it",
    Code.NODE_SILENT: (
        "start the node, or its argosyd; the task is replaced on another node where the service allows it"
    ),
    Code.BEING_STOPPED: "wait for its grace period; a new task follows when it has stopped",
    Code.NOT_BEGUN: WAIT,
    Code.IN_STATE: WAIT,
    Code.GETTING_IMAGE: "wait; if it does not end, check the image's name, or load it: `argosy image load`",
    Code.WAITING_FOR_NETWORKS: WAIT,
    Code.WAITING_FOR_FILES: WAIT,
    Code.WAITING_FOR_TURN: WAIT,
    Code.POST_START: WAIT,
    Code.NOT_HANDLED: WAIT,
    Code.HEALTH_CHECK_PENDING: f"wait for it, or {_LOGS}",
    Code.STOPPING_UNHEALTHY: f"{_LOGS}; it is replaced once it stopped",
    Code.UNHEALTHY: f"see why its health check fails; {_LOGS}",
    Code.OUT_OF_MEMORY: "raise its memory limit, or have it use less",
    Code.NON_ZERO_EXIT: _LOGS,
    Code.POST_START_FAILED: _LOGS,
    Code.START_FAILED: _LOGS,
    Code.CONTAINER_LOST: _LOGS,
    Code.HOST_FAILED: _LOGS,
    Code.FAILED: _LOGS,
    Code.IMAGE_UNAVAILABLE: "correct the image's name, push it, or load it on a manager: `argosy image load`",
    Code.CREATE_FAILED: _SPEC,
    Code.NETWORK_FAILED: _SPEC,
    Code.REFUSED_BY_NODE: _SPEC,
    Code.COMPLETED: "if it is to end, make it a job (mode replicated-job)",
    Code.NODE_LOST: _NOTHING,
    Code.STOPPED: _NOTHING,
    Code.NODE_DRAINED: _NOTHING,
    Code.NODE_DOWN: _NOTHING,
    Code.NODE_REMOVED: _NOTHING,
    Code.CONSTRAINTS_NOT_MET: _NOTHING,
    Code.RESOURCES_GONE: _NOTHING,
    Code.YIELDS_TO_SUCCESSOR: _NOTHING,
    Code.RUN_TOO_LONG: _NOTHING,
    Code.GIVEN_UP: _given_up,
    Code.REPLACED_LATER: _of_first,
    Code.REPLACED_SOON: _of_first,
    Code.NODE_TAKES_NO_TASKS: "make the node ready and active",
    Code.NO_LEADER: "wait some seconds; if it stays so, too few managers are alive: see `argosy node ls`",
    Code.NOT_TAKEN_UP: "wait a moment; the leader's log says more",
    Code.SECRETS_BY_DECLARATION: (
        "place it by node.id, or by a label that a manager gives: `argosy node update --label-add secure=yes NODE`"
    ),
    Code.HOST_OVERLAPS_NETWORK: ("make the network anew with another subnet, or change the host's addresses or routes"),
    Code.UPDATING: "wait; slots that hold it up are listed below",
    Code.ROLLING_BACK: "wait; slots that hold it up are listed below",
    Code.UPDATE_PAUSED: _paused,
    Code.ROLLBACK_PAUSED: _paused,
    Code.ROLLED_BACK: _rolled_back,
    Code.SCALED_TO_ZERO: _scaled_to_zero,
    Code.NO_NODE_FITS: (
        "check the placement constraints against `argosy node ls`, and that nodes are ready and active"
    ),
    Code.TASKS_NOT_MADE: WAIT,
    Code.SCHEDULE_SUSPENDED: "deploy it without the suspension",
    Code.RUN_SKIPPED: (
        "if a run hangs, give the schedule an active deadline (--schedule-active-deadline), or another overlap"
    ),
    Code.RUN_FAILED: _run_failed,
    Code.RUN_MISSED: "raise the schedule's missed window, or run it by hand",
}
"""A text, or a function of the reason that returns one."""
