"""A random cluster and what befalls it, all from one seed: users (users.py), nodes (hosts.py) and leaders.

A round is one commit; a leader may be gone before it, in the midst of it (a big one is several transactions)
or after it. After every step of anybody the laws are looked up (laws.py, books.py); at the end, rest.py.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from api.objects.kinds import CLUSTER, CURRENT_LEADER, LEADERSHIP, SERVICE, SERVICE_DECISION, STATUS, TASK
from api.objects.observed import Leadership
from api.states import Availability
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.leader.reconciler import without_conflicts
from manager.plan import Planner
from manager.store.interface import Change
from tests import make
from tests.manager.world import apply_plan, counter
from tests.sim import laws
from tests.sim.books import RunBook
from tests.sim.hosts import Hosts, usual
from tests.sim.rest import check_rest
from tests.sim.users import SERVICES, changed, scaled, wished

CALM = 180.0
"""Seconds in which all must have come to rest when the trouble is over."""


class Cluster(Hosts):
    """One simulated cluster."""

    def __init__(self, seed: int, wrap: type[Wrapper] | None = None) -> None:
        rng = random.Random(seed)
        names = [f"n{number + 1}" for number in range(rng.randint(1, 9))]
        self.book = RunBook()
        self.wrap = wrap
        self.terms = 0
        self.away = ""
        """A node that is drained, or lost for good, when all comes to rest."""
        rows = [make.cluster(task_history=rng.randint(1, 4)), make.ingress(), make.network("a"), make.network("b")]
        super().__init__(rng, names, rows)
        self.planners = self.elected()

    def elected(self) -> Sequence[Planner]:
        """The planners of a new leader, broken if the test wants that."""
        self.terms += 1
        self.memory = Memory()
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
        match rng.randrange(19):
            case 0 if self.trouble:
                self.lose_node(node, crash=rng.random() < 0.5)
            case 1 | 2:
                self.return_node(node)
            case 3:
                self.new_leader()
            case 4 | 12:
                self.reconfigure(node)
            case 5 if rng.random() < 0.3:
                self.delete(SERVICE, service)
            case 6 if self.trouble and rng.random() < 0.3:
                self.lose_node(node, crash=True)
                self.remove_node(node)
            case 7:
                self.roll_back(service)
            case 8 | 9:
                self.scale(service)
            case 10:
                self.restart_agent(node)
            case 11 if rng.random() < 0.3:
                _, id, made = make.cluster(
                    task_history=rng.randint(1, 4), labels=rng.choice([{}, {"argosy.rebalance": "true"}])
                )
                self.put((CLUSTER, id, made))
            case _:
                self.want(service)
                if rng.random() < 0.2:  # and changes their mind
                    self.round()
                    self.want(service)
        self.look()

    def want(self, id: str, good: bool = False) -> None:
        """A user wants something else of a service."""
        old = self.state.services.get(id)
        if old is None and (id in self.state.service_decisions or self.state.tasks_of(id)):
            return  # ids are never used again; here they are, but only once nothing is left of the old one
        spec = wished(self.rng, id, good)
        if old is None:
            _, _, made = make.service(id, created_at=self.now)
            self.put((SERVICE, id, changed(made, spec)))
        else:
            self.put((SERVICE, id, changed(old, spec)))

    def scale(self, id: str) -> None:
        """A user wants more or less of the same, or labels it."""
        if (old := self.state.services.get(id)) is not None and old.spec.schedule is None:
            self.put((SERVICE, id, changed(old, scaled(self.rng, old.spec))))

    def roll_back(self, id: str) -> None:
        """A user goes back to any kept revision."""
        kept, old = self.state.revisions_of(id), self.state.services.get(id)
        if old is not None and kept:
            self.put((SERVICE, id, changed(old, kept[self.rng.choice(sorted(kept))].spec, rollback=True)))

    # ── the leader ───────────────────────────────────────────────────────────────────────────────────────────────

    def new_leader(self) -> None:
        """Another manager leads, with nothing of what the old one knew."""
        self.planners = self.elected()
        self.agenda.clear()
        self.state._indexes.clear()
        self.state.mark_all(self.dirty)
        self.put((LEADERSHIP, CURRENT_LEADER, Leadership("m1", self.now)))

    def round(self) -> int:
        """One commit, unless the leader is gone before it; then perhaps another leader."""
        changes, fate = self.planned(), 1.0 if self.calm else self.rng.random()
        if fate < 0.05:
            self.new_leader()  # the commit is lost
            return 0
        if fate < 0.08:
            changes = changes[: self.rng.randint(0, len(changes))]  # or all but its first transactions
        else:
            self.unseen.clear()
        if changes:
            self.commit(changes)
        self.progress.read(self.state, self.now)
        if fate < 0.13:
            self.new_leader()
        return len(changes)

    def planned(self) -> list[Change]:
        """What the planners want now."""
        for key, at in list(self.agenda.items()):
            if at <= self.now:
                del self.agenda[key]
                self.dirty.add(key[1], key[2])
        taken, plans = self.dirty.take(), []
        for number, planner in enumerate(self.planners):
            plan = planner(self.state, self.memory, taken, self.now)
            for (kind, id), at in plan.again.items():
                self.agenda[number, kind, id] = at
            plans.append(plan)
        return without_conflicts(plans)

    def commit(self, changes: list[Change]) -> None:
        """Write it, and look up the laws for what it changed."""
        tasks = self.state.tasks
        touched = (change.id for change in changes if change.kind is TASK or change.kind is STATUS)
        before = {id: (tasks[id], self.state.task_state(tasks[id])) for id in touched if id in tasks}
        gets = any(laws.may_hold(change, self.state.table(change.kind).get(change.id)) for change in changes)
        apply_plan(self.state, changes, self.dirty)
        self.rounds += 1
        laws.legal_moves(before, self.state)
        laws.available(before, self.state)
        laws.spared(before, self.state)
        if gets:
            laws.held_once(self.state, self.changed, self.unseen)
        if any(change.kind is SERVICE_DECISION for change in changes):
            self.book.read(self.state)
        self.look()

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
        away = self.rng.choice(self.names) if len(self.names) > 1 and self.rng.random() < 0.4 else ""
        for name in self.names:
            self.facts[name] = usual(name)
            if name == away and self.trouble and self.rng.random() < 0.5:
                self.lose_node(name, crash=True)  # and it never comes back
                continue
            self.return_node(name)
            if name == away:
                self.facts[name]["availability"] = Availability.DRAIN
            self.put(make.node(name, **self.facts[name])[:2])
        self.away = away
        for id in list(self.state.services):
            self.want(id, good=True)
        end, quiet = self.now + CALM, 0
        while self.now < end and quiet < 2:
            self.settle_down()
            quiet = quiet + 1 if self.is_at_rest() else 0
            following = min((at for at in self.agenda.values() if at > self.now), default=end)
            self.now = min(following if not quiet else self.now + 20, self.now + 20, end)
        self.settle_down()
        check_rest(self.state, self.names, self.away, self.now)

    def settle_down(self) -> None:
        """Leader and agents, until nobody has anything to do now."""
        for _ in range(100):
            changed = self.round() if self.dirty or self.is_due() else 0
            self.obey(surely=True)
            if not changed and not self.reports and not self.dirty and not self.is_due():
                return

    def is_at_rest(self) -> bool:
        """Whether all is as it should be already."""
        try:
            check_rest(self.state, self.names, self.away, self.now)
        except laws.Broken:
            return False
        return True

    def is_due(self) -> bool:
        """Whether a planner wants to look again."""
        return any(at <= self.now for at in self.agenda.values())


class Wrapper:
    """A planner that is broken on purpose: tests derive from it."""

    def __init__(self, planner: Planner, number: int) -> None:
        self.planner, self.number = planner, number
