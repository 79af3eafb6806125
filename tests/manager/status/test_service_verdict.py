"""Verdicts on services, and since when they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from api.defaults import VERDICT_PATIENCE as PATIENCE
from api.engine.argosy import VerdictState
from api.objects.decided import JobRun, ServiceDecision, UpdateStatus
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP, SERVICE_DECISION
from api.objects.observed import Leadership
from api.reasons.reason import Code, Reason, reason
from api.reasons.reason_text import texts
from api.service.schedule import Schedule
from api.states import TaskState
from manager.status.service_verdict import STABLE, STEADY, SUSPICIOUS, Verdict, service_verdict
from manager.status.stack_verdict import stack_verdict
from manager.store.state import State
from tests import make

NO_NODE = reason(Code.NO_SUITABLE_NODE, reason(Code.INSUFFICIENT_RESOURCES, nodes=3))
WAITS = reason(Code.WAITING_FOR_SERVICES, reason(Code.DEPENDENCY, service="db", condition="healthy"))
START = 1000.0
CONVERGING, CONVERGED = VerdictState.CONVERGING, VerdictState.CONVERGED
FAILED, STUCK, DEGRADED = VerdictState.FAILED, VerdictState.STUCK, VerdictState.DEGRADED


@dataclass
class Scene:
    """One service that the leader processed at START, and its tasks; `at` judges it the given seconds later."""

    spec: dict[str, Any] = field(default_factory=lambda: {"replicas": 2})
    decision: dict[str, Any] = field(default_factory=dict)
    leads: bool = True
    wanted_revision: int = 1
    rollback: bool = False
    rows: list[Any] = field(default_factory=list)
    tasks: int = 0

    def add(
        self,
        slot: int,
        state: TaskState,
        why: Reason | None = None,
        began: float = 0.0,
        ended: float = 0.0,
        **more: Any,
    ) -> str:
        """A task that its agent says is in a state; times in seconds after START. One that ended is history."""
        self.tasks += 1
        id, over = f"t{self.tasks}", state.is_terminal
        desired = TaskState.SHUTDOWN if over and state is not TaskState.COMPLETE else TaskState.RUNNING
        known = {"node_id": "n1", "desired": desired, "state": TaskState.ASSIGNED, **more}
        time = START + (ended if over else began)
        self.rows.append(make.task(id, slot=slot, created_at=START + self.tasks / 1000, updated_at=time, **known))
        ran = state is TaskState.RUNNING or began > 0
        self.rows.append(make.status(id, state, time, reason=why, started_at=START + began if ran else 0.0))
        return id

    def wait(self, slot: int, state: TaskState = TaskState.PENDING, why: Reason | None = NO_NODE) -> None:
        """A task that no agent knows of yet."""
        self.tasks += 1
        self.rows.append(
            make.task(f"t{self.tasks}", slot=slot, state=state, reason=why, created_at=START, updated_at=START)
        )

    def state(self) -> State:
        rows = make.decided_service("s1", name="web", **self.spec)
        (kind, id, service), revision, _ = rows
        service = replace(service, created_at=START, updated_at=START, revision=self.wanted_revision)
        decision = ServiceDecision(**{"revision": 1, "wanted": 1, **self.decision})
        wanted = (kind, id, replace(service, rollback=self.rollback))
        leader = [(LEADERSHIP, CURRENT_LEADER, Leadership("m1"))] if self.leads else []
        made = make.state(wanted, revision, (SERVICE_DECISION, "s1", decision), make.node("n1"), *leader)
        make.apply(made, *self.rows)
        return made

    def at(self, seconds: float, patience: float = PATIENCE) -> Verdict:
        state = self.state()
        return service_verdict(state, state.services["s1"], START + seconds, patience)

    def stands(self, seconds: float) -> tuple[VerdictState, str]:
        found = self.at(seconds)
        return found.state, texts(list(found.reasons))


def test_all_running_for_a_moment_is_converged() -> None:
    scene = Scene()
    scene.add(1, TaskState.RUNNING, began=1)
    scene.add(2, TaskState.RUNNING, began=2)
    assert scene.stands(2) == (CONVERGING, "watching whether it stays up")
    assert scene.at(2).again_at == START + 2 + STABLE
    found = scene.at(2 + STABLE)
    assert (found.state, found.since, found.ready, found.wanted, found.reasons) == (CONVERGED, START + 2, 2, 2, ())


def test_not_all_running_is_converging_and_says_for_what() -> None:
    scene = Scene()
    scene.add(1, TaskState.RUNNING)
    scene.add(2, TaskState.PREPARING, reason(Code.GETTING_IMAGE, image="demo:1"))
    assert scene.stands(100) == (CONVERGING, "1 preparing (getting image demo:1)")
    assert (scene.at(100).ready, scene.at(100).wanted) == (1, 2)


def test_after_a_failure_it_is_watched_for_longer() -> None:
    scene = Scene({"replicas": 1})
    scene.add(1, TaskState.FAILED, reason(Code.NON_ZERO_EXIT, exit_code=1), ended=1)
    scene.add(1, TaskState.RUNNING, began=2)
    assert scene.at(2 + STABLE).state is CONVERGING
    assert scene.at(2 + SUSPICIOUS).state is CONVERGED


def test_a_host_whose_clock_runs_ahead_does_not_hold_it_up() -> None:
    scene = Scene({"replicas": 1})
    scene.rows.append(make.task("t1", node_id="n1", state=TaskState.ASSIGNED, created_at=START, updated_at=START))
    scene.rows.append(make.status("t1", TaskState.RUNNING, START + 3000, started_at=START + 3000))
    assert scene.at(STABLE).state is CONVERGED


@pytest.mark.parametrize(
    ("state", "times", "expected"),
    [
        (TaskState.FAILED, 2, CONVERGING), (TaskState.FAILED, 3, FAILED),
        (TaskState.REJECTED, 1, CONVERGING), (TaskState.REJECTED, 2, FAILED),
    ],
)  # fmt: skip
def test_a_slot_that_fails_again_and_again_has_failed(state: TaskState, times: int, expected: VerdictState) -> None:
    scene = Scene()
    scene.add(2, TaskState.RUNNING)
    for number in range(times):
        scene.add(1, state, reason(Code.IMAGE_UNAVAILABLE, text="No such image: demo"), ended=number)
    found = scene.at(60)
    assert found.state is expected
    if expected is FAILED:
        assert texts(list(found.reasons)) == f"web.1 failed {times} times: No such image: demo"
        assert found.since == START + times - 1
    else:
        assert texts(list(found.reasons)) == "last failure: No such image: demo"


def test_failures_that_lie_far_apart_are_no_series() -> None:
    scene = Scene({"replicas": 1})
    for number in range(1, 5):
        scene.add(1, TaskState.FAILED, began=100 * number, ended=100 * number + STEADY)
    scene.add(1, TaskState.PREPARING)
    found = scene.at(500)
    assert (found.state, found.since) == (DEGRADED, START + 400 + STEADY)


def test_a_failure_that_nothing_restarts_is_final() -> None:
    scene = Scene({"replicas": 1, "restart": make.restart("none")})
    scene.add(1, TaskState.FAILED, reason(Code.NON_ZERO_EXIT, exit_code=3))
    assert scene.stands(1) == (FAILED, "web.1 failed: task: non-zero exit (3)")


def test_one_that_ends_well_again_and_again_has_failed_with_what_to_say_instead() -> None:
    scene = Scene({"replicas": 1})
    for _ in range(3):
        assert scene.at(1).state is CONVERGING
        scene.add(1, TaskState.COMPLETE)
    state, told = scene.stands(1)
    assert state is FAILED
    assert told.startswith("web.1 ended 3 times, with exit code 0; what is to run once needs the restart")


def test_a_one_shot_that_ended_well_counts_as_ready() -> None:
    scene = Scene({"replicas": 1, "restart": make.restart("none")})
    scene.add(1, TaskState.COMPLETE, ended=1)
    assert scene.at(1 + STABLE).state is CONVERGED


def test_a_job_is_done_when_all_have_completed() -> None:
    scene = Scene({"mode": make.job_mode(2)})
    scene.add(1, TaskState.COMPLETE, ended=1)
    scene.add(2, TaskState.RUNNING)
    assert scene.at(100).state is CONVERGING
    del scene.rows[-2:]
    scene.add(2, TaskState.COMPLETE, ended=2)
    found = scene.at(100)
    assert (found.state, found.since, found.ready, found.wanted) == (CONVERGED, START + 2, 2, 2)


def test_tasks_without_a_node_are_borne_for_a_while_only() -> None:
    scene = Scene()
    scene.add(1, TaskState.RUNNING)
    scene.wait(2)
    early = scene.at(PATIENCE - 1)
    assert (early.state, early.again_at) == (CONVERGING, START + PATIENCE)
    told = "1 task found no node: no suitable node (insufficient resources on 3 nodes)"
    assert scene.stands(PATIENCE) == (STUCK, told)
    assert scene.at(PATIENCE).since == START
    assert scene.at(1, patience=1).state is STUCK


@pytest.mark.parametrize(
    ("update", "told"),
    [
        (UpdateStatus("paused", START, reason=reason(Code.TASK_ENDED_EARLY, task="t")),
         "update paused due to failure or early termination of task t"),
        (UpdateStatus("rollback_paused", START, reason=reason(Code.NO_PROGRESS, seconds=9.0)),
         "rollback paused: no progress for 9 seconds"),
        (UpdateStatus("rollback_completed", START, reason=reason(Code.TASK_ENDED_EARLY, task="t")),
         "the update failed and was rolled back: failure or early termination of task t"),
    ],
)  # fmt: skip
def test_an_update_that_went_wrong_has_failed(update: UpdateStatus, told: str) -> None:
    assert Scene(decision={"update": update}).stands(1) == (FAILED, told)


def test_the_state_of_an_earlier_update_does_not_count() -> None:
    scene = Scene(decision={"update": UpdateStatus("paused", START)}, wanted_revision=2)
    assert scene.stands(1) == (CONVERGING, "the leader has not taken up the newest spec yet")


def test_a_rollback_that_was_asked_for_is_no_failure() -> None:
    update = UpdateStatus("rollback_completed", START)
    assert Scene({"replicas": 0}, {"update": update}, rollback=True).at(10).state is CONVERGED


def test_a_running_update_is_waited_for() -> None:
    update = UpdateStatus("updating", START + 5)
    found = Scene({"replicas": 0}, {"update": update}).at(1000)
    assert (found.state, found.since, texts(list(found.reasons))) == (CONVERGING, START + 5, "update in progress")


def test_a_global_service_waits_for_its_first_tasks() -> None:
    scene = Scene({"mode": make.global_mode()})
    assert (scene.at(0).state, scene.at(PATIENCE).state) == (CONVERGING, CONVERGED)
    scene.add(0, TaskState.RUNNING, node_id="n1")
    scene.add(0, TaskState.STARTING, node_id="n2")
    found = scene.at(1)
    assert (found.state, found.ready, found.wanted) == (CONVERGING, 1, 2)


def test_waiting_for_other_services_is_no_lack_of_nodes() -> None:
    scene = Scene({"replicas": 1}, {"held": True, "waiting": WAITS})
    scene.wait(1, TaskState.NEW, WAITS)
    assert scene.stands(PATIENCE * 10) == (CONVERGING, "waiting for service db to be healthy")


def test_an_update_that_waits_for_other_services_says_so() -> None:
    scene = Scene(decision={"waiting": WAITS}, wanted_revision=2)
    assert scene.stands(PATIENCE * 10) == (CONVERGING, "waiting for service db to be healthy")


def test_a_scheduled_job_is_as_its_last_run_was() -> None:
    spec = {"mode": make.job_mode(), "schedule": Schedule("@daily")}
    assert Scene(spec).at(1).state is CONVERGED
    run = JobRun(3, START, START, START + 9, "failed", 1)
    found = Scene(spec, {"runs": [run]}).at(20)
    assert (found.state, found.since, found.reasons[0].code) == (DEGRADED, START + 9, Code.RUN_FAILED)


def test_one_that_ran_well_and_lost_a_task_is_degraded() -> None:
    scene = Scene()
    scene.add(1, TaskState.RUNNING, began=1)
    scene.add(2, TaskState.FAILED, reason(Code.OUT_OF_MEMORY, exit_code=137), began=1, ended=50)
    scene.add(2, TaskState.STARTING, began=0)
    found = scene.at(51)
    assert (found.state, found.since, found.ready, found.wanted) == (DEGRADED, START + 50, 1, 2)
    assert texts(list(found.reasons)).startswith(
        "1 task that ran before does not run: task: non-zero exit (137): out of"
    )


def test_without_a_leader_nothing_is_called_well() -> None:
    scene = Scene({"replicas": 0}, leads=False)
    assert scene.stands(100) == (DEGRADED, "no manager leads now, so nothing is decided")


def test_a_stack_is_as_the_worst_of_its_services() -> None:
    good = Verdict(CONVERGED, 10.0, (), 2, 2)
    bad = Verdict(STUCK, 30.0, (reason(Code.TASKS_WITHOUT_NODE, NO_NODE, tasks=1),), 0, 1, 50.0)
    late = Verdict(CONVERGING, 40.0, (reason(Code.UPDATING),), 1, 3)
    found = stack_verdict({"web": good, "db": bad, "mail": late})
    assert (found.state, found.since, found.ready, found.wanted, found.again_at) == (STUCK, 30.0, 3, 6, 50.0)
    assert texts(list(found.reasons)) == (
        "db is stuck: 1 task found no node: no suitable node (insufficient resources on 3 nodes);"
        " mail is converging: update in progress"
    )
    assert stack_verdict({"a": good, "b": Verdict(CONVERGED, 20.0)}).since == 20.0
    assert stack_verdict({}).state is CONVERGED
