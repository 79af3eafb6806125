"""The orchestrator: the planner that turns services into tasks, replaces ended tasks, and runs updates.

A pass over one service goes through these steps, in this order:

    bring_into_force   a new wanted revision comes into force                    updates/revisions
    advance            runs of a scheduled job end and begin                     tasks/job_runs
    scale              slots are added or given up, as the mode requires         tasks/scaling
    repair             ended tasks are replaced by the restart policy            tasks/repair, slots/restart
    update             outdated slots are replaced, some at a time               updates/rolling_update
    relocate           slots leave drained nodes, or move for balance            nodes/relocation
    reap, prune        tasks and revisions that are no longer needed go          tasks/task_reaper, updates/revisions

Before the passes, changed nodes are checked; tasks that a node can no longer keep are stopped (nodes/node_liveness).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable

from api.objects.kinds import CLUSTER, NODE, SERVICE, STATUS
from api.objects.wanted import Service
from manager.orchestrator.memory import Memory
from manager.orchestrator.nodes.node_liveness import (
    ConstrainedServices,
    check_node,
    enforce_on_service,
    may_be_outdated,
)
from manager.orchestrator.nodes.relocation import DrainedNodes, is_uneven, relocate, wants_balance
from manager.orchestrator.slots.service_pass import ServicePass
from manager.orchestrator.slots.slots import Slots, history_limit
from manager.orchestrator.tasks.job_runs import advance, scale_runs
from manager.orchestrator.tasks.repair import repair
from manager.orchestrator.tasks.scaling import scale
from manager.orchestrator.tasks.task_reaper import reap, remove_service
from manager.orchestrator.updates.dependencies import waiting
from manager.orchestrator.updates.revisions import bring_into_force, prune
from manager.orchestrator.updates.rolling_update import update
from manager.plan import Plan, PlanBuilder
from manager.store.state import Dirty, Event, State


class GlobalServices:
    """Ids of the global services; an index of the state."""

    def __init__(self, state: State) -> None:
        self.ids = {service.id for service in state.services.values() if service.spec.is_global}

    def follow(self, event: Event) -> None:
        """Update for a change of a service."""
        if event.kind is SERVICE:
            self.ids.discard(event.id)
            if isinstance(event.new, Service) and event.new.spec.is_global:
                self.ids.add(event.id)


class NodeIds:
    """Ids of all nodes, in order; an index of the state."""

    def __init__(self, state: State) -> None:
        self.ids = sorted(state.nodes)

    def follow(self, event: Event) -> None:
        """Update for a node that is new or gone."""
        if event.kind is NODE and (event.old is None) is not (event.new is None):
            place = bisect_left(self.ids, event.id)
            self.ids[place : place + (event.new is None)] = [] if event.new is None else [event.id]


class BalancedServices:
    """Ids of the services to be kept balanced over the nodes; an index of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.ids: set[str] = set()
        self._find()

    def follow(self, event: Event) -> None:
        """Update for a change of a service, or of the cluster's labels."""
        if event.kind is CLUSTER:
            self._find()
        elif event.kind is SERVICE:
            self.ids.discard(event.id)
            if isinstance(event.new, Service) and wants_balance(self._state, event.new.spec):
                self.ids.add(event.id)

    def _find(self) -> None:
        self.ids = {id for id, service in self._state.services.items() if wants_balance(self._state, service.spec)}


class Orchestrator:
    """The planner that makes, replaces and removes tasks."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def __call__(self, state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        """See manager/plan.py."""
        builder, slots = PlanBuilder(state, now), state.index(Slots)
        memory.take_in(state, dirty)
        for node_id in sorted(dirty.nodes):
            check_node(builder, slots, node_id)
        # changes made for nodes may fail to be written, so no pass may rely on having seen them
        certain = builder.is_empty
        everything, visited = state.index(NodeIds).ids, set(self._services(state, dirty))
        visited.update(*map(slots.services_on, dirty.nodes & state.index(DrainedNodes).ids))
        there = set().union(*map(slots.services_on, dirty.nodes))
        visited.update(there & slots.moving)
        constrained = there & state.index(ConstrainedServices).ids
        visited.update(id for id in constrained if may_be_outdated(state, slots.of(id), id))
        for service_id in sorted(visited):
            self._visit_service(builder, memory, service_id, everything, certain)
        if dirty.nodes:
            some = sorted(dirty.nodes & state.nodes.keys())
            for service_id in sorted(self._interested_in(state, slots, some) - visited):
                self._visit_service(builder, memory, service_id, some, certain)
        for task_id in dirty.tasks:
            if task_id in state.statuses and task_id not in state.tasks:
                builder.delete(STATUS, task_id)
        return builder.plan()

    def _services(self, state: State, dirty: Dirty) -> Iterable[str]:
        """Changed services and the services that wait for them; all services if the cluster's settings (such as the
        history limit) may have changed."""
        if dirty.cluster:
            return dirty.services | state.services.keys()
        return dirty.services.union(waiting(state, dirty))

    def _interested_in(self, state: State, slots: Slots, nodes: list[str]) -> set[str]:
        """Services that may put tasks on nodes where they have none: global services, and unbalanced ones."""
        found = set(state.index(GlobalServices).ids)
        for service_id in state.index(BalancedServices).ids:
            own = slots.of(service_id)
            if any(is_uneven(own, node_id) for node_id in nodes):
                found.add(service_id)
        return found

    def _visit_service(
        self, builder: PlanBuilder, memory: Memory, service_id: str, nodes: list[str], certain: bool
    ) -> None:
        state, queue = builder.state, memory.queue(service_id)
        service, slots = state.services.get(service_id), state.index(Slots)
        own = slots.of(service_id)
        if service is None:
            remove_service(builder, own, queue, service_id)
            if not own.tasks:
                del memory.queues[service_id]
            return
        decision = bring_into_force(builder, service)
        service_pass = ServicePass(builder, own, queue, service, decision, self._new_id)
        inputs = _slot_inputs(service_pass, slots.nodes_seen) if certain else None
        new = queue.begin(inputs, builder.now, own.unconverged)
        if new and own.going.keys() - {decision.revision}:
            service_pass.handled |= enforce_on_service(builder, own, service_id)
            if service_pass.handled:
                queue.distrust()
        self._run_steps(service_pass, nodes)
        queue.end()

    def _run_steps(self, service_pass: ServicePass, nodes: list[str]) -> None:
        advance(service_pass)
        if service_pass.schedule is None:
            scale(service_pass, nodes)
        else:
            scale_runs(service_pass, nodes)
        repair(service_pass)
        if not service_pass.decision.held:  # a held service has run nothing yet
            update(service_pass)
        relocate(service_pass)
        reap(service_pass)
        prune(service_pass)


def _slot_inputs(service_pass: ServicePass, nodes_seen: int) -> Hashable:
    """What decides about a service's slots besides their tasks. None for jobs: their slots depend on each other."""
    if service_pass.is_job:
        return None
    state, service_id, decision = service_pass.state, service_pass.service.id, service_pass.decision
    written = state.service_decisions.get(service_id)
    rolling_back = decision.update is not None and decision.update.state.startswith("rollback")
    in_force = (decision.revision, written.revision if written else 0, decision.held)
    return state.version(SERVICE, service_id), in_force, rolling_back, nodes_seen, history_limit(state)


def orchestrator(new_id: Callable[[], str]) -> Orchestrator:
    """The planner that makes tasks; `new_id` names them."""
    return Orchestrator(new_id)
