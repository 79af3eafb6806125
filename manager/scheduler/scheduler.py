"""The scheduler: PENDING tasks get a node, or a message that says why none takes them.

Groups of equal tasks take nodes from orders that are kept from round to round (roster). When many groups find no room,
one that has not changed is looked at again only if a node that has changed could take it.
"""

from __future__ import annotations

from api.objects import Task
from manager.draft import Draft
from manager.scheduler.filters import Pipeline
from manager.scheduler.group import Group, pending_groups
from manager.scheduler.load import Load
from manager.scheduler.round import Round
from manager.store.base import Plan
from manager.store.state import Dirty, State

THOROUGH = 20_000
"""Groups times nodes up to which every waiting group is looked at in every round, so that its message is up to date."""


def scheduler(state: State, dirty: Dirty, now: float) -> Plan:
    """The planner that chooses nodes. See manager/store/base.py."""
    draft, load = Draft(state, now), state.view(Load)
    groups = pending_groups(state)
    if not groups:
        return draft.plan()
    round = Round(draft)
    try:
        for group in groups:
            if group.bound:
                _place_bound(draft, group, round)
        thorough = len(groups) * round.size <= THOROUGH
        for group in groups:
            if group.tasks and (thorough or _is_worth_a_look(group, dirty, round)):
                _place(draft, group, round, load.faulty(group.service_id, group.revision, now))
    finally:
        round.close()
    return draft.plan()


def _is_worth_a_look(group: Group, dirty: Dirty, round: Round) -> bool:
    if group.service_id in dirty.services or not all(task.message for task in group.tasks):
        return True
    round.enter(group)
    pipeline = Pipeline(group)
    return any(pipeline.passes(node) for id in dirty.nodes if (node := round.candidate(id)))


def _place_bound(draft: Draft, group: Group, round: Round) -> None:
    """Tasks of global services: their node was chosen with them, and is only checked."""
    round.enter(group)
    for task in group.bound:
        pipeline, node = Pipeline(group), round.candidate(task.node_id)
        if node is not None and pipeline.passes(node):
            round.assign(group, task, node)
        else:
            _say(draft, task, pipeline.explain())


def _place(draft: Draft, group: Group, round: Round, faulty: set[str]) -> None:
    round.enter(group)
    pipeline = Pipeline(group)
    if left := round.place(group, pipeline, faulty):
        for node in round.candidates():
            pipeline.passes(node)
        message = pipeline.explain()
        for task in left:
            _say(draft, task, message)


def _say(draft: Draft, task: Task, message: str) -> None:
    if task.message != message:
        draft.put_task(task, message=message)
