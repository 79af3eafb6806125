"""/tasks: the tasks of all services, with their history."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from aiohttp import web

from api.engine.tasks import EncodedTaskAnswer
from api.errors import Invalid, NotFound
from api.http.app import answer
from api.http.query import filters, label_match
from api.objects.decided import Task
from api.states import TaskState
from manager.http.cluster_context import ClusterContext
from manager.http.services.preserved_fields import is_docker_client
from manager.http.services.task_answers import TaskAnswers, task_labels
from manager.status.service_counts import is_up_to_date
from manager.store.lookup import find_node, find_service, find_task
from manager.store.naming import task_name
from manager.store.state import State

FILTERS = frozenset({"desired-state", "id", "label", "name", "node", "service", "runtime", "_up-to-date"})

_CHECKS: dict[str, Callable[[State, Task, set[str]], bool]] = {
    "id": lambda _state, task, values: task.id.startswith(tuple(values)),
    "name": lambda state, task, values: task_name(state, task).startswith(tuple(values)),
    "label": lambda state, task, values: label_match(task_labels(state, task), values),
    "runtime": lambda _state, _task, values: "container" in values,
    "_up-to-date": lambda state, task, values: is_up_to_date(state, task) == ("true" in values or "1" in values),
}
"""Filter → whether a task matches its values."""


class TaskHandlers:
    """Handlers of /tasks."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/tasks", self.list_all), web.get("/tasks/{id}", self.inspect)]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET /tasks."""
        ctx = self._get()
        chosen = filters(request, FILTERS)
        tasks = sorted(chosen_tasks(ctx, chosen), key=lambda task: (task.created_at, task.id))
        answers = ctx.store.state.index(TaskAnswers)
        found = [answers.of(task) for task in tasks]
        if "_up-to-date" in chosen and is_docker_client(request):
            found = [_counted_from_zero(ctx.store.state, one) for one in found]
        return answer(found)

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /tasks/{id}."""
        state = self._get().store.state
        return answer(state.index(TaskAnswers).of(find_task(state, request.match_info["id"])))


def _counted_from_zero(state: State, task: EncodedTaskAnswer) -> EncodedTaskAnswer:
    """A replicated job's task with its slot counted from 0, as the progress bars of Docker's client expect it.

    They ask with the filter _up-to-date. Elsewhere slots count from 1, as for all services: for slot 0 the client would
    show a node's id.
    """
    service = state.services.get(task.service_id)
    if service is not None and service.spec.is_replicated_job and task.slot:
        return msgspec.structs.replace(task, slot=task.slot - 1)
    return task


def chosen_tasks(ctx: ClusterContext, chosen: dict[str, set[str]]) -> Iterable[Task]:
    """The tasks that match all filters; visits only tasks of the named services or nodes. Raises NotFound, Invalid."""
    state = ctx.store.state
    services = {_service_id(state, name) for name in chosen.get("service", ())}
    nodes = {find_node(state, name, ctx.node_id).id for name in chosen.get("node", ())}
    desired = {_desired(text) for text in chosen.get("desired-state", ())}
    checks = [(check, chosen[name]) for name, check in _CHECKS.items() if name in chosen]
    for task in _candidates(state, services, nodes):
        if (
            (not nodes or task.node_id in nodes)
            and (not desired or task.desired in desired)
            and (not checks or all(check(state, task, values) for check, values in checks))
        ):
            yield task


def _candidates(state: State, services: set[str], nodes: set[str]) -> Iterable[Task]:
    if services:
        return [task for id in services for task in state.tasks_of(id).values()]
    if nodes:
        return [task for id in nodes for task in state.tasks_on(id).values()]
    return list(state.tasks.values())


def _service_id(state: State, reference: str) -> str:
    try:
        return find_service(state, reference).id
    except NotFound:
        if state.tasks_of(reference):  # the service was removed; its last tasks are stopping
            return reference
        raise


def _desired(text: str) -> TaskState:
    try:
        return TaskState(text.lower())
    except ValueError:
        raise Invalid(f"invalid filter 'desired-state={text}'; running, shutdown and accepted are used") from None
