"""A random cluster and what befalls it, all from one seed: users, nodes, agents, and leaders that come and go.

What runs where is kept here (`actual`), apart from what agents have told: their word is late, gets lost and is said
again. A round is one commit; a leader may be gone before it or after it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec.structs import replace

from api.objects import SERVICE, STATUS, Task, TaskStatus
from api.specs import (
    DiscreteResource,
    EmptyMode,
    GenericResource,
    Mode,
    NamedResource,
    ReplicatedJob,
    Reservations,
    Schedule,
)
from api.states import GOING, Availability, NodeState, TaskState
from manager.planners import planners
from manager.reconcile import without_rivals
from manager.store.base import Planner
from tests import make
from tests.manager.world import World, apply_plan, counter
from tests.sim import laws

IMAGES = ["web:1", "web:2", "web:3", "bad:1", "stuck:1"]
GPUS = [GenericResource(named_resource_spec=NamedResource("gpu", value)) for value in ("g1", "g2")]
ONE_GPU = Reservations(memory_bytes=make.GIB, generic_resources=[GenericResource(None, DiscreteResource("gpu", 1))])
START = 1_000_000_000.0
ORDERS = {"s1": "start-first", "s2": "stop-first", "s3": "start-first", "s4": "stop-first", "s5": "stop-first"}
START_FIRST = {"s1", "s3", "s6"}
"""s6 gives no order: it is drained and balanced start-first, and updated stop-first."""
SERVICES = ["s1", "s2", "s3", "s4", "s5", "s6", "j1", "j2", "j3", "j4"]


class Cluster(World):
    """One simulated cluster."""

    def __init__(self, seed: int, wrap: type[Wrapper] | None = None) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.calm = False
        self.trouble = self.rng.random() < 0.6
        """Whether nodes are lost and tasks fail by themselves."""
        self.actual: dict[str, TaskState] = {}
        self.running_now: set[str] = set()
        self.reports: dict[str, TaskStatus] = {}
        self.excused: set[str] = set()
        self.book = laws.RunBook()
        self.wrap = wrap
        self.terms = 0
        self.names = [f"n{number + 1}" for number in range(self.rng.randint(1, 9))]
        super().__init__(
            make.cluster(task_history=self.rng.randint(1, 4)), make.ingress(), make.network("a"), make.network("b"),
            *[self.node(name) for name in self.names], now=START,
        )  # fmt: skip
        self.planners = self.elected()

    def elected(self) -> Sequence[Planner]:
        """The planners of a new leader, broken if the test wants that."""
        self.terms += 1
        return [
            self.wrap(one, number) if self.wrap else one
            for number, one in enumerate(planners(counter(f"t{self.terms:03d}-")))
        ]

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, steps: int = 30) -> None:
        """Trouble for so many steps, then calm until all is as it should be. Raises laws.Broken."""
        for _ in range(steps):
            self.happen()
            for _ in range(self.rng.randint(1, 3)):
                self.round()
                self.obey()
            self.pass_time(self.rng.choice([0, 0, 0.5, 1, 3, 8, 20]))
        self.converge()

    def happen(self) -> None:
        """A user, a node or a leader does something."""
        rng, node, service = self.rng, self.rng.choice(self.names), self.rng.choice(SERVICES)
        match rng.randrange(12):
            case 0 if self.trouble:
                self.lose_node(node, crash=rng.random() < 0.5)
            case 1 | 2:
                self.return_node(node)
            case 3:
                self.new_leader()
            case 4:
                kinds = [Availability.ACTIVE, Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN]
                self.put(self.node(node, availability=rng.choice(kinds))[:2])
            case 5 if rng.random() < 0.3:
                self.delete(SERVICE, service)
            case 6 if self.trouble and rng.random() < 0.3:
                self.lose_node(node, crash=True)
                self.remove_node(node)
            case 7:
                self.roll_back(service)
            case _:
                self.want(service)

    def want(self, id: str, good: bool = False) -> None:
        """A user wants something else of a service."""
        rng, old = self.rng, self.state.services.get(id)
        if old is None and (id in self.state.service_decisions or self.state.tasks_of(id)):
            return  # ids are never used again; here they are, but only once nothing is left of the old one
        image = rng.choice(IMAGES[:3] if good or rng.random() < 0.6 else IMAGES)
        how = make.update(
            rng.choice([None, 0, 2, 3]), rng.choice([0, 0, 2]), rng.choice(["pause", "continue", "rollback"]),
            rng.choice([1, 5]), rng.choice([0, 0.3]), ORDERS.get(id, ""), rng.choice([None, 60]),
        )  # fmt: skip
        fields = {
            "image": image,
            "update": None if id[0] == "j" else how,
            "restart": make.restart("any" if id != "j3" else "on-failure", rng.choice([0, 1, 5]), attempts=None),
            **self.shape(id),
        }
        if good and id in ("s2", "s5"):
            fields |= {"replicas": 1, "constraints": None}
        spec = make.spec(name=id, **fields)  # type: ignore[arg-type]
        if id[0] == "s":
            back = replace(how, failure_action="pause", progress_deadline=None)
            spec = replace(spec, rollback_config=back)
        if old is None:
            _, _, made = make.service(id, created_at=self.now)
            self.put((SERVICE, id, replace(made, spec=spec)))
        else:
            self.put((SERVICE, id, replace(old, spec=spec, revision=old.revision + 1, rollback=False)))

    def shape(self, id: str) -> dict[str, object]:
        """What makes the services differ from one another."""
        rng = self.rng
        replicas = rng.randrange(7)
        match id:
            case "s1":
                return {"replicas": replicas, "networks": rng.choice([["a"], ["a", "b"]]), "ports": [make.port()]}
            case "s2":
                return {"replicas": replicas, "ports": [make.port(8000, mode="host")]}
            case "s3":
                return {"replicas": replicas, "networks": ["a"], "rebalance": True, "ports": [make.port(80)]}
            case "s4":
                return {"mode": make.global_mode(), "networks": ["b"]}
            case "s5":
                where = rng.choice([None, ["node.labels.az != 1"]])
                return {"replicas": replicas, "reserve": ONE_GPU, "constraints": where}
            case "s6":
                return {"replicas": replicas, "update": make.update(), "rebalance": rng.random() < 0.5}
            case "j1":
                return {"mode": Mode(replicated_job=ReplicatedJob(rng.randint(1, 3), rng.randrange(5)))}
            case "j2":
                return {"mode": Mode(global_job=EmptyMode())}
        overlap = "replace" if id == "j4" else rng.choice(["allow", "forbid"])
        mode = Mode(replicated_job=ReplicatedJob(2, 2)) if id == "j3" else Mode(global_job=EmptyMode())
        return {"mode": mode, "schedule": Schedule("*/20 * * * * *", overlap=overlap)}  # type: ignore[arg-type]

    def roll_back(self, id: str) -> None:
        """A user goes back to any kept revision."""
        kept, old = self.state.revisions_of(id), self.state.services.get(id)
        if old is not None and kept:
            spec = kept[self.rng.choice(sorted(kept))].spec
            self.put((SERVICE, id, replace(old, spec=spec, revision=old.revision + 1, rollback=True)))

    # ── nodes and agents ─────────────────────────────────────────────────────────────────────────────────────────

    def node(self, name: str, **fields: object) -> list[make.Row]:
        """A node in all its parts."""
        return make.node(name, labels={"az": name[-1]}, generic=GPUS, memory=4 * make.GIB, **fields)  # type: ignore[arg-type]

    def lose_node(self, name: str, crash: bool) -> None:
        """Its agent is not heard any more. After a crash nothing of it runs."""
        if name not in self.state.sessions:
            return
        for task in self.state.tasks_on(name).values():
            self.excused.add(task.id)
            at = self.actual.get(task.id)
            if crash and at is not None and not at.is_terminal:
                self.move(task, TaskState.FAILED)
        self.lose(name)

    def return_node(self, name: str) -> None:
        """It is back, or joins anew."""
        if name not in self.state.nodes:
            self.put(self.node(name))
        elif name not in self.state.sessions:
            self.regain(name)

    def obey(self, surely: bool = False) -> None:
        """Every agent that is heard does a part of what it is told, and tells a part of what it did."""
        for name in self.names:
            if name not in self.state.sessions or (not surely and self.rng.random() < 0.2):
                continue
            for task in list(self.state.tasks_on(name).values()):
                if task.state is TaskState.ASSIGNED:
                    self.act(task, surely)
        for id, report in list(self.reports.items()):
            task = self.state.tasks.get(id)
            if task is None:
                del self.reports[id]
            elif task.node_id in self.state.sessions and (surely or self.rng.random() < 0.7):
                del self.reports[id]
                told = self.state.statuses.get(id)
                if told is None or (told.state < report.state and not told.state.is_terminal):
                    self.put((STATUS, id, report))
        self.look()

    def act(self, task: Task, surely: bool) -> None:
        """One agent's step for one task."""
        at, rng = self.actual.get(task.id, TaskState.ASSIGNED), self.rng
        spec = self.state.revisions_of(task.service_id)[task.revision].spec
        image = spec.task_template.container_spec.image
        if at.is_terminal:
            return
        if task.desired not in GOING:
            slow = task.id[-1] in "37"
            if surely or rng.random() < (0.15 if slow else 0.7):
                self.move(task, TaskState.SHUTDOWN)
        elif at is TaskState.RUNNING:
            if task.desired is TaskState.COMPLETE and rng.random() < 0.5:
                self.move(task, TaskState.COMPLETE)
            elif self.trouble and not self.calm and rng.random() < 0.01:
                self.move(task, TaskState.FAILED)
        elif at is TaskState.STARTING and image.startswith("bad"):
            self.move(task, TaskState.FAILED)
        elif not (at is TaskState.STARTING and image.startswith("stuck")):
            following = {TaskState.ASSIGNED: TaskState.PREPARING, TaskState.PREPARING: TaskState.STARTING}
            self.move(task, following.get(at, TaskState.RUNNING))

    def move(self, task: Task, to: TaskState) -> None:
        """A container comes, goes on or ends; its agent is to tell so."""
        old = self.reports.get(task.id) or self.state.statuses.get(task.id)
        started = self.now if to is TaskState.RUNNING else old.started_at if old else 0.0
        self.actual[task.id] = to
        if to is TaskState.RUNNING:
            self.running_now.add(task.id)
        else:
            self.running_now.discard(task.id)
        self.reports[task.id] = TaskStatus(to, self.now, started_at=started)

    # ── the leader ───────────────────────────────────────────────────────────────────────────────────────────────

    def new_leader(self) -> None:
        """Another manager leads, with nothing of what the old one knew."""
        self.planners = self.elected()
        self.agenda.clear()
        self.state._views.clear()
        self.state.mark_all(self.dirty)

    def round(self) -> int:
        """One commit, unless the leader is gone before it; then perhaps another leader."""
        for key, at in list(self.agenda.items()):
            if at <= self.now:
                del self.agenda[key]
                self.dirty.add(key[1], key[2])
        taken, plans = self.dirty.take(), []
        for number, planner in enumerate(self.planners):
            plan = planner(self.state, taken, self.now)
            for (kind, id), at in plan.again.items():
                self.agenda[number, kind, id] = at
            plans.append(plan)
        if not self.calm and self.rng.random() < 0.05:
            self.new_leader()  # the commit is lost
            return 0
        changes = without_rivals(plans)
        if not changes:
            return 0
        before = {id: (task, self.state.task_state(task)) for id, task in self.state.tasks.items()}
        apply_plan(self.state, changes, self.dirty)
        self.rounds += 1
        laws.legal_moves(before, self.state)
        laws.available(before, self.state, START_FIRST - {"s6"})
        laws.held_once(self.state)
        self.book.read(self.state)
        self.look()
        if not self.calm and self.rng.random() < 0.05:
            self.new_leader()
        return len(changes)

    def look(self) -> None:
        """What holds of containers."""
        laws.one_per_slot(self.state, self.running_now, self.excused, START_FIRST)

    def pass_time(self, seconds: float) -> None:
        """Agents do not sleep through it: what was told to stop does."""
        self.now += seconds
        if seconds > 5:
            self.round()
            self.obey(surely=True)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def converge(self) -> None:
        """Faults stop, users want what works: then every service has what is wanted, and nothing else is left."""
        self.calm = True
        for name in self.names:
            self.return_node(name)
            self.put(self.node(name)[:2])
        for id in list(self.state.services):
            self.want(id, good=True)
        end = self.now + 110
        while self.now < end:
            for _ in range(100):
                changed = self.round() if self.dirty or self.is_due() else 0
                self.obey(surely=True)
                if not changed and not self.reports and not self.dirty and not self.is_due():
                    break
            following = min((at for at in self.agenda.values() if at > self.now), default=end)
            self.now = min(following, self.now + 20, end)
        self.check_rest()

    def is_due(self) -> bool:
        """Whether a planner wants to look again."""
        return any(at <= self.now for at in self.agenda.values())

    def check_rest(self) -> None:
        """What is left when all is quiet."""
        state, law = self.state, "convergence"
        laws.demand(all(state.node_state(name) is NodeState.READY for name in self.names), law, "a node is not ready")
        for service in state.services.values():
            revision = state.service_decisions[service.id].revision
            mode = state.revisions_of(service.id)[revision].spec.mode
            if mode.replicated_job or mode.global_job:
                self.check_job(service.id)
                continue
            going = [task for task in state.tasks_of(service.id).values() if task.desired in GOING]
            up = [task for task in going if state.task_state(task) is TaskState.RUNNING]
            waiting = [task for task in going if task.state < TaskState.ASSIGNED and task.message]
            wanted = len(self.names) if mode.global_ else mode.replicated.replicas if mode.replicated else 1
            told = f"{service.id}: {len(up)} run and {len(waiting)} wait of {wanted}, {len(going)} are to"
            laws.demand(len(up) + len(waiting) == wanted == len(going), law, told)
            laws.demand(
                not waiting or service.id in ("s2", "s5", "s3"), law, f"{told}: {waiting and waiting[0].message}"
            )
            spec = state.revisions_of(service.id)[revision].spec.task_template
            for task in up:
                own = state.revisions_of(service.id)[task.revision].spec.task_template
                laws.demand(own.container_spec == spec.container_spec, law, f"{task.id} is outdated")
        for task in state.tasks.values():
            laws.demand(task.service_id in state.services, law, f"{task.id} has no service")
            laws.demand(task.desired is not TaskState.REMOVE, law, f"{task.id} is still to be removed")
            laws.demand(not (task.addresses and state.has_ended(task)), law, f"{task.id} keeps its address")

    def check_job(self, id: str) -> None:
        """Unscheduled jobs are done; a scheduled one has no run older than those it may still have."""
        state, decision = self.state, self.state.service_decisions[id]
        if state.services[id].spec.schedule is None:
            for task in state.tasks_of(id).values():
                ended = state.task_state(task).is_terminal
                laws.demand(ended, "convergence", f"{id}: {task.id} is {state.task_state(task).value}")
            return
        laws.demand(self.now - decision.scheduled_to <= 80, "convergence", f"{id}: {decision.scheduled_to} {self.now}")


class Wrapper:
    """A planner that is broken on purpose: tests derive from it."""

    def __init__(self, planner: Planner, number: int) -> None:
        self.planner, self.number = planner, number
