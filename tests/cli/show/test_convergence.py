"""When a deploy is done, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from api.reasons.reason import Code, Reason, reason
from api.reasons.reason_text import text
from api.service import service_spec
from api.service.mode import EmptyMode, Mode, Replicated, ReplicatedJob
from api.service.schedule import Schedule
from cli.show.convergence import PATIENCE, STABLE, SUSPICIOUS, Judge, Verdict
from cli.views import ContainerStatus, Service, Task, TaskStatus, UpdateStatus

WAITS = reason(Code.WAITING_FOR_SERVICES, reason(Code.DEPENDENCY, service="db", condition="healthy"))


@dataclass
class Scene:
    """A service and its tasks; `look` moves the clock."""

    mode: Mode = field(default_factory=lambda: Mode(replicated=Replicated(2)))
    restart: service_spec.RestartPolicy | None = None
    update: UpdateStatus | None = None
    tasks: list[Task] = field(default_factory=list)
    judge: Judge = field(default_factory=lambda: Judge("s"))
    now: float = 0.0

    def add(
        self, slot: int, state: str, err: str = "", node: str = "n", code: int = 0, reason: Reason | None = None
    ) -> None:
        desired = "shutdown" if state in ("failed", "rejected") else "running"
        status = TaskStatus(state=state, err=err, reason=reason, container_status=ContainerStatus("c", code))
        created = f"2026-01-01T00:00:{len(self.tasks):02}Z"
        self.tasks.append(Task(f"t{len(self.tasks)}", created, "s", slot, node, status=status, desired_state=desired))

    def look(self, after: float = 0.0) -> Verdict:
        self.now += after
        template = service_spec.TaskSpec(restart_policy=self.restart)
        spec = service_spec.ServiceSpec(name="web", mode=self.mode, task_template=template)
        return self.judge.look(Service("s", spec=spec, update_status=self.update), self.tasks, self.now)


def test_all_running_for_a_moment_is_converged() -> None:
    scene = Scene()
    scene.add(1, "running")
    scene.add(2, "running")
    assert scene.look().state == "waiting"
    assert scene.look(STABLE).state == "converged"


def test_not_all_running_is_waiting_and_says_for_what() -> None:
    scene = Scene()
    scene.add(1, "running")
    scene.add(2, "preparing")
    assert scene.look(100) == Verdict("web", "waiting", 1, 2, "1 preparing")


def test_after_a_failure_it_is_watched_for_longer() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(1)))
    scene.add(1, "failed", "exit 1")
    scene.add(1, "running")
    scene.look()
    assert scene.look(STABLE).state == "waiting"
    assert scene.look(SUSPICIOUS).state == "converged"


@pytest.mark.parametrize(
    ("state", "times", "verdict"),
    [("failed", 2, "waiting"), ("failed", 3, "failed"), ("rejected", 1, "waiting"), ("rejected", 2, "failed")],
)
def test_a_slot_that_fails_again_and_again_is_given_up(state: str, times: int, verdict: str) -> None:
    scene = Scene()
    scene.add(2, "running")
    for _ in range(times):
        scene.add(1, state, "No such image: demo")
    found = scene.look()
    assert found.state == verdict
    if verdict == "failed":
        assert found.detail == f"web.1 failed {times} times: No such image: demo"


def test_a_failure_that_nothing_restarts_is_final() -> None:
    scene = Scene(restart=service_spec.RestartPolicy(condition="none"))
    scene.add(1, "failed", code=3)
    assert scene.look().detail == "web.1 failed: exit code 3"


def test_one_that_ends_well_again_and_again_is_given_up_with_what_to_say_instead() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(1)))
    for _ in range(3):
        assert scene.look().state == "waiting"
        scene.add(1, "complete")
    assert scene.look().state == "failed"
    assert scene.look().detail.startswith(
        "web.1 ended 3 times, with exit code 0; what is to run once needs the restart"
    )


def test_a_one_shot_that_ended_well_counts_as_ready() -> None:
    scene = Scene(
        mode=Mode(replicated=Replicated(1)),
        restart=service_spec.RestartPolicy(condition="none"),
    )
    scene.add(1, "complete")
    scene.look()
    assert scene.look(STABLE).state == "converged"


def test_a_job_is_done_when_all_have_completed() -> None:
    scene = Scene(mode=Mode(replicated_job=ReplicatedJob(1, 2)))
    scene.add(1, "complete")
    scene.add(2, "running")
    assert scene.look(100).state == "waiting"
    scene.tasks.pop()
    scene.add(2, "complete")
    assert scene.look() == Verdict("web", "converged", 2, 2)


def test_tasks_without_a_node_are_borne_for_a_while_only() -> None:
    scene = Scene()
    scene.add(1, "running")
    scene.add(2, "pending", "no suitable node (insufficient memory on 3 nodes)")
    assert scene.look(1000).state == "waiting"
    assert scene.look(PATIENCE - 1).state == "waiting"
    assert scene.look(1).detail == "1 task found no node: no suitable node (insufficient memory on 3 nodes)"


def test_the_state_of_an_earlier_update_does_not_count() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(0)), update=UpdateStatus("paused", "yesterday", "old"))
    scene.judge = Judge("s", before="yesterday")
    assert scene.look().state == "converged"


@pytest.mark.parametrize(
    ("state", "detail"),
    [
        ("paused", "the update is paused: because"),
        ("rollback_paused", "the rollback is paused: because"),
        ("rollback_completed", "the update failed and was rolled back: because"),
    ],
)
def test_an_update_that_went_wrong_fails(state: str, detail: str) -> None:
    scene = Scene(update=UpdateStatus(state, "now", "because"))
    assert (scene.look().state, scene.look().detail) == ("failed", detail)


def test_why_it_was_rolled_back_is_told_also_when_the_rollback_is_over() -> None:
    why = reason(Code.TASK_ENDED_EARLY, task="t")
    update = UpdateStatus("rollback_completed", "now", "rollback completed", reason=why)
    assert (
        Scene(update=update).look().detail
        == "the update failed and was rolled back: failure or early termination of task t"
    )


def test_a_rollback_that_was_asked_for_is_no_failure() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(0)), update=UpdateStatus("rollback_completed", "now"))
    scene.judge = Judge("s", is_rollback=True)
    assert scene.look().state == "converged"


def test_a_running_update_is_waited_for() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(0)), update=UpdateStatus("updating", "now"))
    assert scene.look(1000).state == "waiting"


def test_a_global_service_waits_for_its_first_tasks() -> None:
    scene = Scene(mode=Mode(global_=EmptyMode()))
    assert scene.look().state == "waiting"
    scene.add(0, "running", node="n1")
    scene.add(0, "starting", node="n2")
    assert scene.look() == Verdict("web", "waiting", 1, 2, "1 starting")


def test_waiting_for_other_services_is_no_lack_of_nodes() -> None:
    scene = Scene(mode=Mode(replicated=Replicated(1)))
    scene.add(1, "new", text(WAITS), reason=WAITS)
    assert scene.look().state == "waiting"
    assert scene.look(PATIENCE * 10) == Verdict("web", "waiting", 0, 1, "1 new (waiting for service db to be healthy)")


def test_an_update_that_waits_for_other_services_says_so() -> None:
    scene = Scene(update=UpdateStatus("updating", "now", text(WAITS), reason=WAITS))
    assert scene.look(PATIENCE * 10) == Verdict("web", "waiting", 0, 2, "waiting for service db to be healthy")


def test_how_long_a_task_may_find_no_node_can_be_said() -> None:
    scene = Scene(judge=Judge("s", patience=1))
    scene.add(1, "pending", "no suitable node")
    scene.look()
    assert scene.look(1).state == "failed"


def test_a_job_that_runs_by_a_schedule_is_not_waited_for() -> None:
    mode = Mode(replicated_job=ReplicatedJob(1, 1))
    spec = service_spec.ServiceSpec(name="backup", mode=mode, schedule=Schedule("@daily"))
    assert Judge("s").look(Service("s", spec=spec), [], 0.0).state == "converged"
