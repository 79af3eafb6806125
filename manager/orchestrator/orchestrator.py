"""The orchestrator: services become tasks, ended tasks are replaced, updates roll, what is over is reaped.

One look at a service goes through these parts, in this order; each is a file of its own:

    take_up   a new wanted revision comes into force                     revisions
    advance   runs of a scheduled job end and begin                      runs
    enforce   tasks on nodes that no longer meet the constraints stop    nodes
    shape     slots are added or given up, as the mode wants             modes
    settle    ended tasks are replaced as the restart policy wants       settle, restart
    update    outdated slots are replaced, some at a time                update
    move      slots leave drained nodes, or move for balance             moves
    reap      tasks and revisions nobody needs any more are deleted      reap, revisions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api.objects import CLUSTER, SERVICE, STATUS, Service
from api.specs import Mode
from manager.draft import Draft
from manager.orchestrator.dependencies import Dependants
from manager.orchestrator.deployment import Deployment
from manager.orchestrator.modes import shape
from manager.orchestrator.moves import Draining, is_uneven, move, wants_balance
from manager.orchestrator.nodes import enforce_on_service, look_at_node
from manager.orchestrator.reap import reap, remove_service
from manager.orchestrator.revisions import prune, take_up
from manager.orchestrator.runs import advance
from manager.orchestrator.runs import shape as shape_runs
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


class Balanced:
    """Ids of the services that are to be kept balanced; a view of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.ids: set[str] = set()
        self._find()

    def follow(self, event: Event) -> None:
        """Keep up with a change of a service, or of the cluster's labels."""
        if event.kind is CLUSTER:
            self._find()
        elif event.kind is SERVICE:
            self.ids.discard(event.id)
            if isinstance(event.new, Service) and wants_balance(self._state, event.new.spec):
                self.ids.add(event.id)

    def _find(self) -> None:
        self.ids = {id for id, service in self._state.services.items() if wants_balance(self._state, service.spec)}


class Orchestrator:
    """The planner."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def __call__(self, state: State, dirty: Dirty, now: float) -> Plan:
        """See manager/store/base.py."""
        draft, slots = Draft(state, now), state.view(Slots)
        for node_id in sorted(dirty.nodes):
            look_at_node(draft, slots, node_id)
        everything, looked_at = sorted(state.nodes), set(self._services(state, dirty))
        for node_id in dirty.nodes:
            drained = node_id in state.view(Draining).ids
            looked_at.update(id for id in slots.services_on(node_id) if drained or slots.of(id).moving)
        for service_id in sorted(looked_at):
            self._look_at_service(draft, slots, service_id, everything)
        if dirty.nodes:
            some = sorted(dirty.nodes & state.nodes.keys())
            for service_id in sorted(self._of_nodes(state, slots, some) - looked_at):
                self._look_at_service(draft, slots, service_id, some)
        for task_id in dirty.tasks:
            if task_id in state.statuses and task_id not in state.tasks:
                draft.delete(STATUS, task_id)
        return draft.plan()

    def _services(self, state: State, dirty: Dirty) -> Iterable[str]:
        """Those that are dirty and those that wait for them; all when the cluster's own settings (the history's limit)
        may have changed."""
        if dirty.cluster:
            return dirty.services | state.services.keys()
        return dirty.services.union(state.view(Dependants).waiting(dirty.services))

    def _of_nodes(self, state: State, slots: Slots, nodes: list[str]) -> set[str]:
        """Services that nodes concern though nothing of theirs is there: global ones, and those out of balance."""
        found = set(state.view(Globals).ids)
        for service_id in state.view(Balanced).ids:
            own = slots.of(service_id)
            if any(is_uneven(own, node_id) for node_id in nodes):
                found.add(service_id)
        return found

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
        advance(deployment)
        if deployment.schedule is None:
            shape(deployment, nodes)
        else:
            shape_runs(deployment, nodes)
        settle(deployment)
        if not decision.held:  # nothing has run yet
            update(deployment)
        move(deployment)
        reap(deployment)
        prune(deployment)


def _is_global(mode: Mode) -> bool:
    return bool(mode.global_ or mode.global_job)


def orchestrator(new_id: Callable[[], str]) -> Orchestrator:
    """The planner that makes tasks; `new_id` names them."""
    return Orchestrator(new_id)
