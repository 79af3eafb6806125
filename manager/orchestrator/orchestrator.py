"""The orchestrator: services become tasks, ended tasks are replaced, updates roll, what is over is reaped.

One look at a service goes through these parts, in this order; each is a file of its own:

    take_up   a new wanted revision comes into force                     revisions
    enforce   tasks on nodes that no longer meet the constraints stop    nodes
    shape     slots are added or given up, as the mode wants             modes
    settle    ended tasks are replaced as the restart policy wants       settle, restart
    update    outdated slots are replaced, some at a time                update
    reap      tasks and revisions nobody needs any more are deleted      reap, revisions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api.objects import SERVICE, STATUS, Service
from api.specs import Mode
from manager.draft import Draft
from manager.orchestrator.deployment import Deployment
from manager.orchestrator.modes import shape
from manager.orchestrator.nodes import enforce_on_service, look_at_node
from manager.orchestrator.reap import reap, remove_service
from manager.orchestrator.revisions import prune, take_up
from manager.orchestrator.settle import settle
from manager.orchestrator.slots import Slots
from manager.orchestrator.update import update
from manager.store.base import Plan
from manager.store.state import Dirty, Event, State


class Globals:
    """Ids of the services whose slots are nodes; a view of the state."""

    def __init__(self, state: State) -> None:
        self.ids = {service.id for service in state.services.values() if _is_global(service.spec.mode)}

    def follow(self, event: Event) -> None:
        """Keep up with a change of a service."""
        if event.kind is SERVICE:
            self.ids.discard(event.id)
            if isinstance(event.new, Service) and _is_global(event.new.spec.mode):
                self.ids.add(event.id)


class Orchestrator:
    """The planner."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def __call__(self, state: State, dirty: Dirty, now: float) -> Plan:
        """See manager/store/base.py."""
        draft, slots = Draft(state, now), state.view(Slots)
        for node_id in sorted(dirty.nodes):
            look_at_node(draft, slots, node_id)
        everything = sorted(state.nodes)
        for service_id in sorted(self._services(state, dirty)):
            self._look_at_service(draft, slots, service_id, everything)
        if dirty.nodes:
            some = sorted(dirty.nodes & state.nodes.keys())
            for service_id in sorted(state.view(Globals).ids - dirty.services):
                self._look_at_service(draft, slots, service_id, some)
        for task_id in dirty.tasks:
            if task_id in state.statuses and task_id not in state.tasks:
                draft.delete(STATUS, task_id)
        return draft.plan()

    def _services(self, state: State, dirty: Dirty) -> Iterable[str]:
        """Those that are dirty; all of them when the cluster's own settings (the history's limit) may have changed."""
        return dirty.services | state.services.keys() if dirty.cluster else dirty.services

    def _look_at_service(self, draft: Draft, slots: Slots, service_id: str, nodes: list[str]) -> None:
        service = draft.state.services.get(service_id)
        own = slots.of(service_id)
        if service is None:
            remove_service(draft, service_id)
            return
        decision = take_up(draft, service)
        deployment = Deployment(draft, own, service, decision, self._new_id)
        if own.going.keys() - {decision.revision}:
            enforce_on_service(draft, own, service_id)
        shape(deployment, nodes)
        settle(deployment)
        update(deployment)
        reap(deployment)
        prune(deployment)


def _is_global(mode: Mode) -> bool:
    return bool(mode.global_ or mode.global_job)


def orchestrator(new_id: Callable[[], str]) -> Orchestrator:
    """The planner that makes tasks; `new_id` names them."""
    return Orchestrator(new_id)
