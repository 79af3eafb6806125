"""One pass over one service: what is in force, its slots, and the changes that the orchestrator's steps make.

All steps (scaling, repair, rolling update, relocation, task reaper) work on a ServicePass. A slot that one step has
changed (`handled`) is left alone by the later steps: the next pass sees the result.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from msgspec.structs import replace

from api import defaults
from api.errors import Invalid
from api.objects.decided import JobRun, ServiceDecision, Task, UpdateStatus
from api.objects.kinds import NODE_DECISION, REVISION, SERVICE_DECISION, TASK, revision_id
from api.objects.observed import TaskStatus  # fmt: skip
from api.objects.wanted import Service
from api.reasons.reason import Reason
from api.service.container import ContainerSpec
from api.service.equality import task_fingerprint
from api.service.schedule import Schedule
from api.service.service_spec import RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig
from api.states import GOING, Availability, NodeState, TaskState
from manager.orchestrator.slots import node_eligibility, restart
from manager.orchestrator.slots.slot_queue import SlotQueue
from manager.orchestrator.slots.slots import ServiceSlots, SlotKey, in_order
from manager.orchestrator.slots.start_first_blocking import YIELDS, is_in_the_way
from manager.plan import PlanBuilder

NO_STATUS = TaskStatus(TaskState.NEW)


class ServicePass:
    """A service during one round, with the changes made to it."""

    def __init__(
        self,
        builder: PlanBuilder,
        slots: ServiceSlots,
        queue: SlotQueue,
        service: Service,
        decision: ServiceDecision,
        new_id: Callable[[], str],
    ) -> None:
        self.builder = builder
        self.state = builder.state
        self.now = builder.now
        self.slots = slots
        self.queue = queue
        self.service = service
        self.decision = decision
        self.handled: set[SlotKey] = set()
        self.early_ends: list[str] = []
        """Ids of tasks of the revision in force that ended early, found in this pass."""
        self._new_id = new_id
        self._specs: dict[int, ServiceSpec] = {}
        """A cache, because it is read once per slot."""
        self._outdated: dict[int, bool] = {}
        self._unmet: dict[int, frozenset[str]] = {}
        self._schedules: dict[int, Schedule | None] = {}

    # ── what is in force ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def spec(self) -> ServiceSpec:
        """The spec in force."""
        number = self.decision.revision
        if (found := self._specs.get(number)) is None:
            if (found := self.spec_of(number)) is None:
                return self.service.spec
            self._specs[number] = found
        return found

    @property
    def policy(self) -> RestartPolicy | None:
        """The restart policy in force."""
        said = self.spec.task_template.restart_policy
        return said if self.schedule is None else restart.of_run(said)

    @property
    def is_job(self) -> bool:
        """Whether its tasks are expected to complete."""
        return self.spec.is_job

    @property
    def is_global(self) -> bool:
        """Whether it is global: its slots are nodes."""
        return self.spec.is_global

    @property
    def update_config(self) -> UpdateConfig:
        """The update parameters in force: the rollback's during a rollback."""
        status = self.decision.update
        rolling_back = status is not None and status.state.startswith("rollback")
        return (self.spec.rollback_config if rolling_back else self.spec.update_config) or UpdateConfig()

    @property
    def monitor(self) -> float:
        """Seconds after its start within which the end of a task counts as a failure of the update."""
        return self.update_config.monitor_seconds

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of its runs; None if it is no scheduled job."""
        number = self.decision.revision
        if number not in self._schedules:
            try:
                self._schedules[number] = self.spec.job_schedule()
            except Invalid:  # a spec stored before labels were validated
                self._schedules[number] = None
        return self._schedules[number]

    def spec_of(self, revision: int) -> ServiceSpec | None:
        """A stored revision's spec; None if the revision is gone."""
        kept = self.builder.get(REVISION, revision_id(self.service.id, revision))
        return kept.spec if kept else None

    def is_outdated(self, task: Task) -> bool:
        """Whether the task differs from the revision in force. Tasks of a scheduled job's runs are never outdated."""
        if self.is_job and self.schedule is not None:
            return False
        return self.is_outdated_revision(task.revision) or task.node_id in self._excluded(task.revision)

    def _excluded(self, number: int) -> Container[str]:
        """Nodes with tasks of the service that are excluded by constraints added after that revision."""
        known = self._unmet.get(number)
        if known is None:
            spec = self.spec_of(number) if number != self.decision.revision else None
            template = self.spec.task_template
            if spec is None or _constraints(spec.task_template) == _constraints(template):
                known = frozenset()
            else:
                nodes = self.slots.nodes
                known = frozenset(id for id in nodes if id and not node_eligibility.allowed(self.state, template, id))
            self._unmet[number] = known
        return known

    def is_outdated_revision(self, number: int) -> bool:
        """Whether tasks of a revision have to be replaced. For a job: of any revision but the one in force."""
        if number == self.decision.revision:
            return False
        known = self._outdated.get(number)
        if known is None:
            spec = self.spec_of(number)
            known = self.is_job or spec is None or task_fingerprint(spec) != task_fingerprint(self.spec)
            self._outdated[number] = known
        return known

    def outdated_slots(self) -> set[SlotKey]:
        """Slots with a task to run that is outdated and can be replaced."""
        found: set[SlotKey] = set()
        for number, slots in self.slots.going.items():
            if self.is_outdated_revision(number):
                found |= slots
            elif self._excluded(number):
                found.update(slot for slot in slots if any(map(self.is_outdated, going(self.tasks(slot)))))
        if self.is_global:  # a node that takes no tasks keeps its tasks until it takes new ones
            found = {slot for slot in found if self.node_takes_tasks(str(slot))}
        return found

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def tasks(self, slot: SlotKey) -> list[Task]:
        """A slot's tasks as they will be, oldest first."""
        stored = self.slots.tasks.get(slot, {})
        return in_order(task for id in stored if (task := self.builder.get(TASK, id)) is not None)

    def status(self, task: Task) -> TaskStatus:
        """The task's status as reported by its agent."""
        return self.state.statuses.get(task.id, NO_STATUS)

    def ended(self, task: Task) -> bool:
        """Whether the task cannot be running any more."""
        return self.state.has_ended(task)

    def waits_until(self, task: Task) -> float:
        """Until when to wait for a task that is to stop: no time at all if its node cannot be reached.

        A node that was unreachable learns of it only when it is back, so its stop timeout begins then.
        """
        if not task.node_id or node_eligibility.is_lost(self.builder, task.node_id):
            return self.now
        node = self.builder.get(NODE_DECISION, task.node_id)
        return max(task.updated_at, node.since if node else 0.0) + self.stop_timeout(task)

    def runs(self, slot: SlotKey) -> bool:
        """Whether a task of the slot that is to run does."""
        return any(self.state.task_state(task) is TaskState.RUNNING for task in going(self.tasks(slot)))

    def node_takes_tasks(self, node_id: str) -> bool:
        """Whether the node can get a new task of the service."""
        node, decision = self.state.nodes.get(node_id), self.builder.get(NODE_DECISION, node_id)
        if node is None or decision is None or decision.state is not NodeState.READY:
            return False
        if node.spec.availability is not Availability.ACTIVE:
            return False
        return node_eligibility.suits(self.state, self.spec.task_template, node_id)

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def free_at(self, tasks: Iterable[Task]) -> float:
        """When a slot's stopping tasks have ended, or are no longer waited for."""
        leaving = [task for task in tasks if task.desired not in GOING and not self.ended(task)]
        return max((self.waits_until(task) for task in leaving), default=self.now)

    def is_free(self, slot: SlotKey) -> bool:
        """Whether a slot that is not in use can get a task: its stopping tasks have ended or are no longer waited for.

        If not, another pass is scheduled for the time when it can.
        """
        if slot in self.handled:
            return False
        stored = self.slots.tasks.get(slot)
        if not stored or (at := self.free_at(stored.values())) <= self.now:
            return True
        self.again(at)
        return False

    def create(self, slot: SlotKey, restarts: list[float] | None = None, replaces: str = "", node_id: str = "") -> Task:
        """Create a task of the revision in force, bound to a node if `node_id` is given."""
        task = Task(
            id=self._new_id(),
            service_id=self.service.id,
            revision=self.decision.revision,
            slot=slot if isinstance(slot, int) else 0,
            node_id=slot if isinstance(slot, str) else node_id,
            desired=TaskState.COMPLETE if self.is_job else TaskState.RUNNING,
            created_at=self._birth(slot),
            updated_at=self.now,
            job_iteration=self._iteration(slot) if self.is_job else 0,
            restarts=restarts or [],
            replaces=replaces,
        )
        self.builder.put(TASK, task.id, task)
        self.handled.add(slot)
        return task

    def _iteration(self, slot: SlotKey) -> int:
        if self.schedule is None:
            return self.decision.revision
        runs = active(self.decision)
        own = [run for run in runs if isinstance(slot, str) or run.base < slot <= run.base + run.total]
        return (own or runs)[-1].number if runs else 0

    def _birth(self, slot: SlotKey) -> float:
        """`now`, or 1 ms after the slot's newest task if that is later: two leaders' clocks may differ."""
        last = max((task.created_at for task in self.slots.tasks.get(slot, {}).values()), default=0.0)
        return max(self.now, last + 0.001)

    def stop(self, slot: SlotKey, task: Task, why: Reason | None = None) -> Task:
        """Stop a task; it becomes history."""
        self.handled.add(slot)
        return self.builder.put_task(task, desired=TaskState.SHUTDOWN, reason=why or task.reason)

    def remove(self, slots: Iterable[SlotKey]) -> None:
        """Stop all tasks of the slots, and delete them once they have stopped."""
        for slot in slots:
            self.handled.add(slot)
            for task in self.tasks(slot):
                if task.desired is not TaskState.REMOVE:
                    self.builder.put_task(task, desired=TaskState.REMOVE)

    def again(self, at: float) -> None:
        """Schedule another pass over the service."""
        self.builder.again("services", self.service.id, max(at, self.now))

    def decide(self, **changes: object) -> None:
        """Change the service's decision."""
        self.decision = replace(self.decision, **changes)
        self._outdated.clear()
        self._unmet.clear()
        self.builder.put(SERVICE_DECISION, self.service.id, self.decision)

    def set_update(self, update: UpdateStatus | None) -> None:
        """Change the status of the update."""
        self.decide(update=update)

    def stop_timeout(self, task: Task) -> float:
        """Seconds after which a stopping task is no longer waited for."""
        spec = self.state.task_spec(task)
        return (spec.container_spec if spec else ContainerSpec()).grace_seconds + defaults.STOP_TIMEOUT


def stop_blocking(service_pass: ServicePass, slots: Iterable[tuple[SlotKey, Task, Task]], down: int) -> None:
    """Stop old tasks that block their own successors. `slots`: with the old and the new task; `down`: how many slots
    of the service do not run.

    The parallelism bounds how many slots are down, as it does stop-first. It is not enough that few are in progress:
    others may never have found a node, and a slot may have been started while its task did not run, or under a larger
    parallelism.
    """
    most = service_pass.update_config.slots_at_once
    for slot, old, new in slots:
        runs = service_pass.runs(slot)
        if runs and most and down >= most:
            continue
        if _yield_to(service_pass, slot, old, new):
            down += runs


def _yield_to(service_pass: ServicePass, slot: SlotKey, old: Task, new: Task) -> bool:
    """Stop a task that blocks its own successor. Returns whether it did.

    If something else blocks it, that may change without an event of this service, so another pass is scheduled.
    """
    if new.state >= TaskState.ASSIGNED or service_pass.decision.held or _is_withdrawn_next(service_pass, new):
        return False
    slots = service_pass.slots
    there = (task for other in slots.unconverged for task in slots.tasks.get(other, {}).values())
    leaving = [task for task in there if task.desired not in GOING and not service_pass.ended(task)]
    if not is_in_the_way(service_pass.state, old, new, leaving, service_pass.now):
        service_pass.again(service_pass.now + defaults.BLOCKED_PAUSE)
        return False
    service_pass.stop(slot, old, YIELDS)
    return True


def _is_withdrawn_next(service_pass: ServicePass, task: Task) -> bool:
    """Whether it waits for a node under an old placement: the next pass stops it (node_liveness.py)."""
    own = service_pass.spec_of(task.revision)
    placement = service_pass.spec.task_template.placement
    return task.state is TaskState.PENDING and (own is None or own.task_template.placement != placement)


def active(decision: ServiceDecision) -> list[JobRun]:
    """Runs of a scheduled job that are in progress."""
    return [run for run in decision.runs if run.outcome == "running"]


def _constraints(template: TaskSpec) -> list[str]:
    return template.placement.constraints if template.placement else []


def going(tasks: Iterable[Task]) -> list[Task]:
    """The tasks that are to run."""
    return [task for task in tasks if task.desired in GOING]
