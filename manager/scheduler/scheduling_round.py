"""One round of placing: the roster as it is, and on top of it what this round has put where.

What is placed is laid on the views of the state, so that the next group sees it, and lifted again at the end, for this
is only a plan. That the nodes concerned are looked at again is all a round leaves behind.
"""

from __future__ import annotations

from api.objects.decided import Task
from manager.plan import Draft
from manager.scheduler import generic_resources
from manager.scheduler.node_load import EMPTY, NOTHING
from manager.scheduler.node_set import Pool, Roster
from manager.scheduler.task_group import Candidate, Group


class Round:
    """Places tasks. `close` it at the end."""

    def __init__(self, draft: Draft, roster: Roster) -> None:
        self._draft = draft
        self.roster = roster
        """With what the round has placed so far laid on it."""
        self._load = roster.load
        self._laid: list[tuple[Group, list[str], int]] = []
        """Groups, nodes that got one task each, and how many of the service they have now."""
        self._needy: list[tuple[Group, Task]] = []
        """Tasks that take something."""
        self._candidates: dict[str, Candidate] = {}

    def close(self) -> None:
        """Leave the views as they were."""
        for group, ids, count in reversed(self._laid):
            self._load.lift(group.service_id, ids, count)
        for group, task in self._needy:
            self._load.give_back(task, group.need)

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self.roster.hosts)

    def pool(self, group: Group) -> Pool:
        """The nodes that fit a group."""
        return self.roster.pool(group.placement)

    def enter(self, group: Group) -> None:
        """Begin with a group: it is to see what other groups of its service have got."""
        group.spread = self._load.services.get(group.service_id) or group.spread

    def candidate(self, id: str) -> Candidate | None:
        """A node with what is on it."""
        found = self._candidates.get(id)
        if found is None and (host := self.roster.hosts.get(id)) is not None:
            load = self._load.nodes.get(id, EMPTY)
            found = self._candidates[id] = Candidate(id, host.node, host.seen, host.ready, load)
        return found

    def assign(self, group: Group, tasks: list[Task], ids: list[str], count: int) -> None:
        """Give each task its node; each of the nodes had `count` of the service's tasks."""
        if group.need is NOTHING:
            self._draft.assign_tasks(tasks, ids)
        else:
            for task, id in zip(tasks, ids, strict=True):
                self._assign_needy(group, task, id)
        self._load.lay(group.service_id, ids, count)
        self._laid.append((group, ids, count + 1))
        group.spread = self._load.services[group.service_id]

    def _assign_needy(self, group: Group, task: Task, id: str) -> None:
        need, node = group.need, self.candidate(id)
        given = generic_resources.pick(need, node.seen, node.load) if node and generic_resources.wanted(need) else None
        task = self._draft.assign_task(task, id, given or [])
        load = self._load.take(task, need)
        self._needy.append((group, task))
        if node is not None:
            node.load = load
