"""Start-first blocking: whether a new task cannot start because the task that it replaces is in its way. Pure.

Start-first means that both tasks run for a while. That is impossible where both need the same thing: a host port, a
named device, the node's last free memory, the only place per node, an address. Waiting is then useless, so the slot is
updated stop-first by stopping the old task (with the reason `YIELDS`).
"""

from __future__ import annotations

from collections.abc import Sequence

from api.objects.decided import Task
from api.reasons.reason import Code, reason
from api.states import TaskState
from kit.ip import number_of
from manager.allocator.allocation_round import AllocationRound
from manager.allocator.memory import Memory
from manager.plan import PlanBuilder
from manager.scheduler.filters import Pipeline
from manager.scheduler.node_load import Load
from manager.scheduler.node_set import NodeSet
from manager.scheduler.service_spread import Spread
from manager.scheduler.task_group import Candidate, TaskGroup, group_of
from manager.scheduler.unschedulable import TAKES
from manager.store.state import State

YIELDS = reason(Code.YIELDS_TO_SUCCESSOR)


def is_in_the_way(state: State, old: Task, new: Task, leaving: Sequence[Task], now: float) -> bool:
    """Whether the new task waits, and would not if the old one were gone. `leaving`: stopping tasks of the service; the
    new task waits for a place that one of them is about to free."""
    if new.reason is None or state.has_ended(old) or old.state is not TaskState.ASSIGNED:
        return False  # scheduler and allocator have not refused it yet
    if new.state is TaskState.PENDING:
        return _takes_its_place(state, old, new, leaving)
    return new.state is TaskState.NEW and _takes_its_address(state, old, new, now)


def _takes_its_place(state: State, old: Task, new: Task, leaving: Sequence[Task]) -> bool:
    """Whether no node takes the new task, but the old task's node would take it without the old task."""
    if new.node_id not in ("", old.node_id):
        return False
    revision = state.revisions_of(new.service_id).get(new.revision)
    if revision is None:
        return False
    group = group_of(revision, state.index(Load).demand_of(new))
    if not _takes(state, group, old.node_id, without=[old, *leaving]):
        return False
    possible = [new.node_id] if new.node_id else state.index(NodeSet).facts
    if any(_takes(state, group, node_id, without=leaving) for node_id in {task.node_id for task in leaving}):
        return False
    return not any(_takes(state, group, node_id) for node_id in possible)


def _takes(state: State, group: TaskGroup, node_id: str, without: Sequence[Task] = ()) -> bool:
    """Whether a node takes a task of the group once the tasks in `without` are gone."""
    if (facts := state.index(NodeSet).facts.get(node_id)) is None:
        return False
    loads = state.index(Load)
    load, counts = loads.of(node_id), loads.services.get(group.service_id) or Spread()
    group.spread = counts
    if gone := [task for task in without if task.node_id == node_id]:
        group.spread, load = Spread(), load.copy()
        if (left := counts.counts.get(node_id, 0) - len(gone)) > 0:
            group.spread.shift(node_id, left)
        for task in gone:
            load.add(task, loads.demand_of(task), -1)
    return Pipeline(group).refusal(Candidate(node_id, facts.node, facts.seen, facts.ready, load)) == TAKES


def _takes_its_address(state: State, old: Task, new: Task, now: float) -> bool:
    """Whether the old task holds every address that the new task lacks."""
    revision = state.revisions_of(new.service_id).get(new.revision)
    if revision is None:
        return False
    allocation, held = (
        AllocationRound(PlanBuilder(state, now), Memory()),
        {one.network_id: one.address for one in old.addresses},
    )
    fixed, lacking = revision.spec.fixed_addresses, False
    for network_id in revision.spec.network_ids:
        if allocation.problem(network_id):
            return False
        wanted = fixed.get(network_id, "")
        if allocation.fixed_address(network_id, wanted) if wanted else allocation.task_address(network_id):
            continue
        if network_id not in held or (wanted and number_of(held[network_id]) != number_of(wanted)):
            return False
        lacking = True
    return lacking
