"""The scheduler: PENDING tasks get a node, or a message that says why none takes them.

Nodes are filtered once per group of equal tasks. When many groups find no room, one that has not changed is looked at
again only if a node that has changed could take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api.objects import Task
from api.states import TaskState
from manager.draft import Draft
from manager.scheduler import generic
from manager.scheduler.filters import Pipeline
from manager.scheduler.group import Candidate, Group, candidates, pending_groups
from manager.scheduler.load import Load
from manager.scheduler.spread import tree
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
    nodes = candidates(state, load)
    thorough = len(groups) * len(nodes) <= THOROUGH
    for group in groups:
        _place_bound(draft, group, nodes)
    for group in groups:
        if group.tasks and (thorough or _is_worth_a_look(group, dirty, nodes)):
            _place(draft, group, nodes, load.faulty(group.service_id, group.revision, now))
    return draft.plan()


def _is_worth_a_look(group: Group, dirty: Dirty, nodes: Mapping[str, Candidate]) -> bool:
    if group.service_id in dirty.services or not all(task.message for task in group.tasks):
        return True
    pipeline = Pipeline(group)
    return any(pipeline.passes(nodes[id]) for id in dirty.nodes if id in nodes)


def _place_bound(draft: Draft, group: Group, nodes: Mapping[str, Candidate]) -> None:
    """Tasks of global services: their node was chosen with them, and is only checked."""
    for task in group.bound:
        pipeline, node = Pipeline(group), nodes.get(task.node_id)
        if node is not None and pipeline.passes(node):
            _assign(draft, group, task, node)
        else:
            draft.put_task(task, message=pipeline.explain())


def _place(draft: Draft, group: Group, nodes: Mapping[str, Candidate], faulty: set[str]) -> None:
    pipeline = Pipeline(group)
    room = tree([node for node in nodes.values() if pipeline.passes(node)], group, faulty)
    waiting = iter(group.tasks)
    left: list[Task] = []
    for task in waiting:

        def put(node: Candidate, task: Task = task) -> bool:
            _assign(draft, group, task, node)
            return pipeline.still_passes(node)

        if not room.place(put):
            left = [task, *waiting]
    _explain(draft, left, pipeline)


def _explain(draft: Draft, tasks: Iterable[Task], pipeline: Pipeline) -> None:
    message = pipeline.explain()
    for task in tasks:
        if task.message != message:
            draft.put_task(task, message=message)


def _assign(draft: Draft, group: Group, task: Task, node: Candidate) -> None:
    given = generic.pick(group.need, node.seen, node.load) if generic.wanted(group.need) else None
    task = draft.put_task(
        task, node_id=node.node.id, state=TaskState.ASSIGNED, message="", generic_resources=given or []
    )  # fmt: skip
    node.place(task, group.need)
