"""The nodes of a simulated cluster and their agents: they are lost and return, obey late, and tell late or twice.

What runs where is kept here (`actual`), apart from what agents have told.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from api.objects.decided import Task
from api.objects.kinds import STATUS, SUSPICIONS
from api.objects.observed import Suspicions, TaskStatus
from api.service.resources import GenericResource, NamedResource
from api.states import GOING, Availability, TaskState
from manager.dispatch.agent_session import acceptable
from tests import make
from tests.manager.world import World
from tests.sim import laws
from tests.sim.books import ProgressBook
from tests.sim.users import GOOD

GPUS = [GenericResource(named_resource_spec=NamedResource("gpu", value)) for value in ("g1", "g2")]
START = 1_000_000_000.0
LATE = 20.0
"""Seconds after which an agent that is heard knows what its manager wants."""
FOLLOWING = {TaskState.ASSIGNED: TaskState.PREPARING, TaskState.PREPARING: TaskState.STARTING}


class Hosts(World):
    """All there is but users and leaders."""

    def __init__(self, rng: random.Random, names: Sequence[str], rows: Sequence[make.Row]) -> None:
        self.rng, self.names = rng, names
        self.calm = False
        self.trouble = rng.random() < 0.6
        """Whether nodes are lost and tasks fail by themselves."""
        self.actual: dict[str, TaskState] = {}
        self.running_now: set[str] = set()
        self.reports: dict[str, TaskStatus] = {}
        self.said: list[tuple[str, str, TaskStatus]] = []
        """What agents told last: node, task, status. It may arrive once more."""
        self.adrift: dict[str, list[Task]] = {}
        """By node that is not heard but lives: its orders when it was lost."""
        self.excused: set[str] = set()
        """Tasks of nodes that could not be told to stop them, until those have done so."""
        self.changed: set[str] = set()
        """Nodes whose resources have changed at some time, and of these, those that no leader has looked at since."""
        self.unseen: set[str] = set()
        self.progress = ProgressBook()
        self.facts: dict[str, dict[str, Any]] = {name: usual(name) for name in names}
        super().__init__(*rows, *[make.node(name, **facts) for name, facts in self.facts.items()], now=START)

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def reconfigure(self, name: str) -> None:
        """A node is drained, paused, activated or labelled, or comes to have less or more than before."""
        rng, facts = self.rng, self.facts[name]
        match rng.randrange(4):
            case 0:
                facts["labels"] = {"az": rng.choice("123")}
            case 1 if self.trouble:
                facts["generic"] = rng.choice([GPUS, GPUS[:1], []])
                facts["memory"] = rng.choice([1, 2, 4]) * make.GIB
                self.changed.add(name)
                self.unseen.add(name)
            case _:
                kinds = [Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN, Availability.DRAIN]
                facts["availability"] = rng.choice(kinds)
        if name in self.state.nodes:
            self.put(make.node(name, **facts)[:2])

    def lose_node(self, name: str, crash: bool) -> None:
        """Its agent is not heard any more. After a crash nothing of it runs; else it goes on with what it was told."""
        if not self.is_heard(name):
            return
        known = [task for task in self.state.tasks_on(name).values() if task.state is TaskState.ASSIGNED]
        for task in known:
            self.excused.add(task.id)
            at = self.actual.get(task.id)
            if crash and at is not None and not at.is_terminal:
                self.move(task, TaskState.FAILED)
        if self.rng.random() < 0.5:
            self.lose(name)
        else:  # its lease lives on, but the managers get no answer from its host
            self.suspect({*self.suspected(), name})
        if not crash:
            self.adrift[name] = known

    def is_heard(self, name: str) -> bool:
        """Whether its agent talks to the managers."""
        return name in self.state.sessions and name not in self.suspected()

    def suspected(self) -> list[str]:
        """Nodes that do not answer."""
        row = self.state.table(SUSPICIONS).get("m1")
        return row.lost if row else []

    def suspect(self, names: set[str]) -> None:
        """What the managers see of hosts."""
        self.put((SUSPICIONS, "m1", Suspicions(sorted(names), sorted(names))))

    def return_node(self, name: str) -> None:
        """It is back, or joins anew. What is not among its tasks any more is stopped."""
        if name not in self.state.nodes:
            self.put(make.node(name, **self.facts[name]))
        elif not self.is_heard(name):
            self.regain(name)
        self.suspect({*self.suspected()} - {name})
        for task in self.adrift.pop(name, ()):
            if task.id not in self.state.tasks:
                self.running_now.discard(task.id)
        for id, task in self.state.tasks_on(name).items():
            if task.desired in GOING or (task.state is TaskState.ASSIGNED and not task.slot):
                self.excused.discard(id)  # it can be told again; and what is bound to the node can have no successor

    def restart_agent(self, name: str) -> None:
        """It opens a session anew and tells of all its tasks; the containers went on meanwhile."""
        if not self.is_heard(name):
            return
        self.excused.update(self.state.tasks_on(name))  # the leader may call the node down meanwhile
        self.lose(name)
        if self.rng.random() < 0.5:
            self.round()
        for id in self.state.tasks_on(name):
            if (status := self.state.statuses.get(id)) is not None:
                self.reports.setdefault(id, status)
        self.return_node(name)

    # ── agents ───────────────────────────────────────────────────────────────────────────────────────────────────

    def obey(self, surely: bool = False) -> None:
        """Every agent that lives does a part of what it knows of, and tells a part of what it did if it is heard."""
        rng = self.rng
        for name in self.names:
            if not surely and rng.random() < 0.2:
                continue
            if self.is_heard(name):
                for task in list(self.state.tasks_on(name).values()):
                    if task.state is TaskState.ASSIGNED:
                        self.act(task, surely)
            elif not self.calm:
                for task in self.adrift.get(name, ()):
                    if task.id in self.state.tasks:
                        self.act(task, False)
        self.tell_all(surely)
        self.look()

    def tell_all(self, surely: bool) -> None:
        """Some reports arrive, and some that did come again."""
        for id, report in list(self.reports.items()):
            task = self.state.tasks.get(id)
            if task is None:
                del self.reports[id]
            elif self.is_heard(task.node_id) and (surely or self.rng.random() < 0.7):
                del self.reports[id]
                self.arrive(task.node_id, id, report)
        if self.said and self.rng.random() < 0.2:
            self.arrive(*self.rng.choice(self.said))

    def arrive(self, node_id: str, task_id: str, report: TaskStatus) -> None:
        """The manager takes what is news to it."""
        self.said = [*self.said[-9:], (node_id, task_id, report)]
        if acceptable(self.state, node_id, task_id, report):
            self.put((STATUS, task_id, report))

    def act(self, task: Task, surely: bool) -> None:
        """One agent's step for one task. Orders may be late: then it goes on with what it knew."""
        at, rng = self.actual.get(task.id, TaskState.ASSIGNED), self.rng
        if at.is_terminal:
            return
        known = self.now - task.updated_at > LATE
        if task.desired not in GOING and (surely or known or rng.random() < 0.9):
            slow = task.id[-1] in "1379"
            if surely or rng.random() < (0.15 if slow else 0.7):
                self.move(task, TaskState.SHUTDOWN)
            return
        if at is TaskState.RUNNING:
            if task.desired is TaskState.COMPLETE and rng.random() < 0.5:
                self.move(task, TaskState.COMPLETE)
            elif self.trouble and not self.calm and rng.random() < 0.01:
                self.move(task, TaskState.FAILED)
            return
        image = self.image_of(task)
        if at is TaskState.STARTING and image.startswith("bad"):
            self.move(task, TaskState.FAILED)
        elif at is not TaskState.STARTING or not image.startswith("stuck"):
            self.move(task, TaskState.RUNNING if self.calm else FOLLOWING.get(at, TaskState.RUNNING))

    def image_of(self, task: Task) -> str:
        """What a task runs; a node that is cut off goes on after its service's revision is forgotten."""
        kept = self.state.revisions_of(task.service_id).get(task.revision)
        return kept.spec.task_template.container_spec.image if kept else GOOD[0]

    def move(self, task: Task, to: TaskState) -> None:
        """A container comes, goes on or ends; its agent is to tell so."""
        old = self.reports.get(task.id) or self.state.statuses.get(task.id)
        started = self.now if to is TaskState.RUNNING else old.started_at if old else 0.0
        self.actual[task.id] = to
        if to is TaskState.RUNNING:
            self.running_now.add(task.id)
            self.progress.ran(task.service_id, self.now)
        else:
            self.running_now.discard(task.id)
            if to > TaskState.RUNNING:
                self.progress.ended(task.service_id, self.now)
        self.reports[task.id] = TaskStatus(to, self.now, started_at=started)

    def look(self) -> None:
        """What holds of containers."""
        laws.one_per_slot(self.state, self.running_now - self.excused)


def usual(name: str) -> dict[str, Any]:
    """What a node is like when nobody has changed it."""
    return {"labels": {"az": name[-1]}, "generic": GPUS, "memory": 4 * make.GIB, "availability": Availability.ACTIVE}
