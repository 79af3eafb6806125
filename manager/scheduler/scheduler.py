"""The scheduler: PENDING tasks get a node, or a reason why no node takes them.

Groups of equal tasks take nodes from rankings that persist from round to round (node_pools). A waiting group is placed
again when a node that has changed takes it (unschedulable).
"""

from __future__ import annotations

from api.objects.decided import Task
from api.reasons.reason import Reason
from manager.plan import Plan, PlanBuilder
from manager.scheduler.filters import Pipeline
from manager.scheduler.group_placement import GroupPlacement
from manager.scheduler.memory import Memory
from manager.scheduler.scheduling_round import Round
from manager.scheduler.task_group import TaskGroup, pending_groups
from manager.scheduler.unschedulable import TAKES, Unschedulable
from manager.store.state import Dirty, State


def scheduler(state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
    """The planner that chooses nodes. See manager/plan.py."""
    builder = PlanBuilder(state, now)
    memory.failures.take_in(state, dirty)
    pools = memory.pools(state)
    groups = pending_groups(state, pools.load)
    if not groups:
        memory.unschedulable = {}
        return builder.plan()
    round = Round(builder, pools)
    try:
        for group in groups:
            if group.bound:
                _place_bound(builder, group, round)
        left: dict[tuple[str, int], Unschedulable] = {}
        for group in groups:
            if group.tasks and (refusals := _place(builder, group, round, memory)):
                left[group.service_id, group.revision] = refusals
        memory.unschedulable = left
    finally:
        round.close()
    return builder.plan()


def _place_bound(builder: PlanBuilder, group: TaskGroup, round: Round) -> None:
    """Check the node of tasks of global services: the orchestrator has already chosen it."""
    round.enter(group)
    for task in group.bound:
        pipeline, node = Pipeline(group), round.candidate(task.node_id)
        if node is None:
            _set_reason(builder, task, pipeline.explain({}))
        elif (refusal := pipeline.refusal(node)) != TAKES:
            _set_reason(builder, task, pipeline.explain({refusal: 1}))
        else:
            round.assign(group, [task], [node.id], group.spread.counts.get(node.id, 0))


def _place(builder: PlanBuilder, group: TaskGroup, round: Round, memory: Memory) -> Unschedulable | None:
    """Place a group's tasks. Returns the nodes' answers if some tasks have to wait."""
    round.enter(group)
    pipeline, left = Pipeline(group), group.tasks
    refusals = memory.unschedulable.get((group.service_id, group.revision))
    if refusals is None or refusals.ask(round, pipeline):
        faulty = memory.failures.faulty(group.service_id, group.revision, builder.now)
        left = GroupPlacement(round, group, pipeline, faulty).place()
        if not left:
            return None
        refusals = refusals or Unschedulable()
        refusals.ask(round, pipeline)
    why = pipeline.explain(refusals.counts())
    for task in left:
        _set_reason(builder, task, why)
    return refusals


def _set_reason(builder: PlanBuilder, task: Task, why: Reason) -> None:
    if task.reason is not why and task.reason != why:
        builder.put_task(task, reason=why)
