"""Names of tasks, services and containers, and addresses of managers, derived from the state. Pure."""

from __future__ import annotations

from api.errors import Invalid
from api.objects.decided import Task
from api.service.templates import TemplateContext, expand
from api.states import TaskState
from kit.templates.go_template import is_template
from manager.store.state import State


def container_hostname(state: State, task: Task) -> str:
    """The hostname that the spec gives to a task's container; "" when there is none, or its template fails."""
    revision, node = state.revision_of(task), state.descriptions.get(task.node_id)
    hostname = revision.spec.task_template.container_spec.hostname if revision else ""
    if revision is None or node is None or not is_template(hostname):
        return hostname
    context = TemplateContext(
        service_id=task.service_id,
        service_name=revision.spec.name,
        service_labels=revision.spec.labels,
        node_id=task.node_id,
        hostname=node.hostname,
        architecture=node.architecture,
        os=node.os,
        task_id=task.id,
        task_name=task_name(state, task),
        slot=task.slot,
    )
    try:
        return expand(hostname, context.fields)
    except Invalid:
        return ""  # the task's host rejects it with the reason


def is_live(state: State, task: Task) -> bool:
    """Whether the task is assigned and has not ended."""
    return bool(task.node_id) and task.state is TaskState.ASSIGNED and not state.task_state(task).is_terminal


def task_name(state: State, task: Task) -> str:
    """<service>.<slot>.<task id>; for tasks that are bound to a node, the node's id instead of the slot."""
    return f"{service_name(state, task)}.{place_of(task)}"


def place_of(task: Task) -> str:
    """The part of a task's name after the service's name."""
    return f"{task.slot or task.node_id}.{task.id}"


def service_name(state: State, task: Task) -> str:
    """The name of a task's service, also while the last tasks of a deleted service stop."""
    if revision := state.revision_of(task):
        return revision.spec.name
    service = state.services.get(task.service_id)
    return service.spec.name if service else task.service_id


def living_managers(state: State) -> list[str]:
    """Node ids of the living managers. A demoted one is left out although its liveness key may still exist."""
    return [id for id, member in state.members.items() if member.host_address and state.is_manager(id)]


def manager_addresses(state: State) -> list[str]:
    """ "address:host_port" of every living manager."""
    return sorted(state.members[id].host_address for id in living_managers(state))


def api_addresses(state: State) -> list[str]:
    """ "address:port" of every living manager's HTTPS port."""
    return sorted(address for id in living_managers(state) if (address := state.members[id].address))
