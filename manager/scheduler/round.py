"""One round of placing: the roster as it is, and on top of it what this round has put where.

The views of the state stay as they are, for this is only a plan. That they are asked again about the nodes a round has
touched is all it leaves behind.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator

from api.objects import Task
from manager.draft import Draft
from manager.scheduler import generic
from manager.scheduler.filters import Pipeline
from manager.scheduler.group import Candidate, Group
from manager.scheduler.load import NodeLoad
from manager.scheduler.roster import Order, Rank, Roster, rank_of, ranks_of
from manager.scheduler.spread import tree

FEW = 32
"""A service on so many nodes passes over them in the order common to all; one on more has an order of its own."""


class Round:
    """Places tasks. `close` it at the end."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._roster = draft.state.view(Roster)
        self._load = self._roster.load
        self._planned: dict[str, NodeLoad] = {}
        """Loads of the nodes that got something in this round."""
        self._candidates: dict[str, Candidate] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def close(self) -> None:
        """Have the orders look at what the plan had moved."""
        for id in self._planned:
            self._load.journal.note(id)

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self._roster.hosts)

    def enter(self, group: Group) -> None:
        """Begin with a group: give it the counts that all groups of its service share."""
        counts = self._counts.get(group.service_id)
        if counts is None:
            counts = self._counts[group.service_id] = self._load.spread(group.service_id).copy()
        group.counts = counts

    def candidate(self, id: str) -> Candidate | None:
        """A node with what is on it."""
        found = self._candidates.get(id)
        if found is None and (host := self._roster.hosts.get(id)) is not None:
            load = self._planned.get(id) or self._load.of(id)
            found = self._candidates[id] = Candidate(id, host.node, host.seen, host.ready, load)
        return found

    def candidates(self) -> Iterator[Candidate]:
        """All nodes."""
        for id in self._roster.hosts:
            if (node := self.candidate(id)) is not None:
                yield node

    def assign(self, group: Group, task: Task, node: Candidate) -> None:
        """Give a task its node."""
        id, need = node.id, group.need
        given = generic.pick(need, node.seen, node.load) if generic.wanted(need) else None
        task = self._draft.assign_task(task, id, given or [])
        if id not in self._planned:
            node.load = self._planned[id] = node.load.copy()
        node.load.add(task, need)
        group.counts[id] = group.counts.get(id, 0) + 1
        self._load.journal.note(id)

    def place(self, group: Group, pipeline: Pipeline, faulty: set[str]) -> list[Task]:
        """Place a group's tasks; those that found no room are returned."""
        waiting = iter(group.tasks)
        if faulty or group.placement.preferences:
            return self._place_by_tree(group, waiting, pipeline, faulty)
        if pipeline.endless and len(group.tasks) >= len(self._roster.pool(group.placement).members) > 0:
            self._deal(group)
            return []
        task = next(waiting, None)
        if len(group.counts) <= FEW:
            task = self._place_afresh(group, task, waiting, pipeline)
        if task is not None:
            task = self._place_evenly(group, task, waiting, pipeline)
        return [] if task is None else [task, *waiting]

    def _deal(self, group: Group) -> None:
        """Place many tasks of which nodes can take any number: as one by one would, but each node is touched once."""
        pool, counts = self._roster.pool(group.placement), group.counts
        ids = deal(ranks_of(pool.members, counts, self._planned, self._load), len(group.tasks))
        self._draft.assign_tasks(group.tasks, ids)
        for id, number in Counter(ids).items():
            if id not in self._planned:
                self._planned[id] = self._load.of(id).copy()
                if node := self._candidates.get(id):
                    node.load = self._planned[id]
            self._planned[id].tasks += number
            counts[id] = counts.get(id, 0) + number
            self._load.journal.note(id)

    def _place_afresh(self, group: Group, task: Task | None, more: Iterator[Task], pipeline: Pipeline) -> Task | None:
        """One task on each node that has none of the service, the emptiest first; returns the one with no such node."""
        order, counts, passed = self._order(group, ""), group.counts, set[str]()
        while task is not None and (id := order.first({}, self._planned)) is not None:
            order.drop_first()
            passed.add(id)
            if id in counts or (node := self.candidate(id)) is None or not pipeline.has_room(node):
                continue
            self.assign(group, task, node)
            task = next(more, None)
        for id in passed:
            order.add(rank_of(id, {}, self._planned, self._load))
        order.caught_up()
        return task

    def _place_evenly(self, group: Group, task: Task | None, more: Iterator[Task], pipeline: Pipeline) -> Task | None:
        """Each on the node with the fewest of the service; returns the one for which there is no room."""
        order, counts, refused = self._order(group, group.service_id), group.counts, []
        while task is not None and (id := order.first(counts, self._planned)) is not None:
            node = self.candidate(id)
            if node is None or not pipeline.has_room(node):
                order.drop_first()
                refused.append(id)
                continue
            self.assign(group, task, node)
            order.replace_first((counts[id], node.load.tasks, id))
            task = next(more, None)
        for id in refused:
            order.add(rank_of(id, counts, self._planned, self._load))
        order.caught_up()
        return task

    def _order(self, group: Group, service_id: str) -> Order:
        order = self._roster.order(self._roster.pool(group.placement), service_id)
        order.catch_up(group.counts if service_id else {}, self._planned)
        return order

    def _place_by_tree(self, group: Group, tasks: Iterator[Task], pipeline: Pipeline, faulty: set[str]) -> list[Task]:
        """For those with preferences, and nodes to be avoided."""
        fit = [node for id in self._roster.pool(group.placement).members if (node := self.candidate(id))]
        room = tree(sorted(filter(pipeline.has_room, fit), key=_id), group, faulty)
        for task in tasks:
            if not room.place(self._putter(group, task, pipeline)):
                return [task, *tasks]
        return []

    def _putter(self, group: Group, task: Task, pipeline: Pipeline) -> Callable[[Candidate], bool]:
        def put(node: Candidate) -> bool:
            self.assign(group, task, node)
            return pipeline.has_room(node)

        return put


def deal(ranks: list[Rank], number: int) -> list[str]:
    """The nodes that so many tasks go to, one after the other, always to the least rank."""
    heapq.heapify(ranks)
    ids: list[str] = []
    for _ in range(number):
        on_service, tasks, id = ranks[0]
        ids.append(id)
        heapq.heapreplace(ranks, (on_service + 1, tasks + 1, id))
    return ids


def _id(node: Candidate) -> str:
    return node.id
