"""A service's history, rollback to any of its revisions, and its explanation."""

from __future__ import annotations

from typing import Any

import msgspec

from api.objects.decided import JobRun, NodeDecision, Revision, ServiceDecision, Task, UpdateStatus
from api.objects.kinds import (
    CURRENT_LEADER,
    LEADERSHIP,
    NODE_DECISION,
    REVISION,
    SERVICE_DECISION,
    STATUS,
    TASK,
    revision_id,
)
from api.objects.observed import Leadership, TaskStatus  # fmt: skip
from api.reasons.reason import Code, reason
from api.states import NodeState, TaskState
from manager.store.interface import Put
from tests.manager.http.cluster_api import M1, NOW, W1, Api, service


async def take_up(api: Api, id: str, previous: int = 0, update: UpdateStatus | None = None, force: int = 0) -> None:
    """Do what the leader does with the newest revision: store it, and put it (or `force`) in force."""
    store = api.manager.store
    now = store.state.services[id]
    decision = ServiceDecision(revision=force or now.revision, wanted=now.revision, previous=previous, update=update)
    await store.commit([
        Put(LEADERSHIP, CURRENT_LEADER, Leadership(M1, NOW)),
        Put(REVISION, revision_id(id, now.revision), Revision(id, now.revision, now.spec, NOW)),
        Put(SERVICE_DECISION, id, decision),
    ])  # fmt: skip


async def updated(api: Api, id: str, image: str, previous: int) -> None:
    """Give the service another image, as the leader has processed it."""
    assert (await api.update(id, service("web", image)))[0] == 200
    await take_up(api, id, previous)


async def three_revisions(api: Api) -> str:
    """A service that had images demo:1, demo:2, demo:3."""
    id = await api.create("web")
    await take_up(api, id)
    await updated(api, id, "demo:2", 1)
    await updated(api, id, "demo:3", 2)
    return id


async def task(api: Api, id: str, state: TaskState, slot: int = 1, **fields: Any) -> None:
    """The newest task of a slot, as the leader decided it."""
    base = Task(f"t{slot}", id, 1, slot, created_at=NOW, updated_at=NOW, state=state)
    status = fields.pop("status", None)
    changed = [Put(TASK, base.id, _with(base, fields))]
    await api.manager.store.commit([*changed, *([Put(STATUS, base.id, status)] if status else [])])


def _with(base: Task, fields: dict[str, Any]) -> Task:
    return msgspec.structs.replace(base, **fields)


async def problems(api: Api) -> list[dict[str, Any]]:
    """The explanation of the service."""
    return list((await api.get("/argosy/v1/services/web/explain"))["Problems"])


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_history_tells_each_kept_revision_and_what_it_changed(api: Api) -> None:
    id = await three_revisions(api)
    await task(api, id, TaskState.ASSIGNED, revision=3, node_id=W1, status=TaskStatus(TaskState.RUNNING, NOW))
    told = await api.get("/argosy/v1/services/web/history")
    assert (told["ServiceID"], told["ServiceName"]) == (id, "web")
    newest, middle, oldest = told["Revisions"]
    assert [r["Number"] for r in told["Revisions"]] == [3, 2, 1]
    assert newest["Image"] == "demo:3"
    assert (newest["InForce"], newest["Wanted"], newest["Previous"]) == (True, True, False)
    assert (newest["Tasks"], newest["Running"]) == (1, 1)
    assert (middle["InForce"], middle["Previous"]) == (False, True)
    assert newest["Changes"] == [{"Path": "TaskTemplate.ContainerSpec.Image", "Old": "demo:2", "New": "demo:3"}]
    assert oldest["Changes"] == []
    assert oldest["Spec"]["Name"] == "web"
    assert newest["CreatedAt"].startswith("2023-11-14T")


async def test_a_revision_that_the_leader_has_not_taken_up_yet_is_told_too(api: Api) -> None:
    await api.create("web")
    (only,) = (await api.get("/argosy/v1/services/web/history"))["Revisions"]
    assert (only["Number"], only["Wanted"]) == (1, True)


# ── rollback ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_rollback_to_any_kept_revision_writes_its_spec_as_a_new_one(api: Api) -> None:
    id = await three_revisions(api)
    status, told = await api.call("POST", "/argosy/v1/services/web/rollback", to=1)
    assert (status, told) == (200, {"Revision": 4, "To": 1, "Warnings": []})
    wanted = api.manager.store.state.services[id]
    assert wanted.rollback
    assert wanted.spec.task_template.container_spec.image == "demo:1"
    await take_up(api, id, 3)
    newest = (await api.get("/argosy/v1/services/web/history"))["Revisions"][0]
    assert (newest["Number"], newest["SameAs"]) == (4, 1)


async def test_rollback_without_a_number_goes_to_the_previous_revision(api: Api) -> None:
    id = await three_revisions(api)
    assert (await api.call("POST", "/argosy/v1/services/web/rollback"))[1]["To"] == 2
    assert api.manager.store.state.services[id].spec.task_template.container_spec.image == "demo:2"


async def test_rollback_to_what_is_in_force_changes_nothing(api: Api) -> None:
    id = await three_revisions(api)
    assert (await api.call("POST", "/argosy/v1/services/web/rollback", to=3))[1]["Revision"] == 3
    assert api.manager.store.state.services[id].revision == 3


async def test_rollback_refuses_what_it_cannot_do(api: Api) -> None:
    await api.create("web")
    status, told = await api.call("POST", "/argosy/v1/services/web/rollback")
    assert (status, told["message"]) == (400, "service web does not have a previous spec")
    await take_up(api, api.manager.store.state.service_named("web").id)  # type: ignore[union-attr]
    status, told = await api.call("POST", "/argosy/v1/services/web/rollback", to=7)
    assert (status, told["message"]) == (404, "revision 7 of service web is not kept; kept are 1")
    assert (await api.call("POST", "/argosy/v1/services/web/rollback", to=1, version=1))[0] == 409
    assert (await api.call("POST", "/argosy/v1/services/nope/rollback"))[0] == 404


# ── explain ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_service_that_runs_has_no_problems(api: Api) -> None:
    id = await api.create("web")
    await take_up(api, id)
    await task(api, id, TaskState.ASSIGNED, node_id=W1, status=TaskStatus(TaskState.RUNNING, NOW))
    told = await api.get("/argosy/v1/services/web/explain")
    assert told["Problems"] == []
    assert (told["Mode"], told["Running"], told["Wanted"]) == ("replicated", 1, 1)
    assert told["Summary"] == "1 of 1 tasks run"


async def test_a_pending_task_has_the_scheduler_s_reason_and_advice(api: Api) -> None:
    id = await api.create("web")
    await take_up(api, id)
    no_node = reason(Code.NO_SUITABLE_NODE, reason(Code.INSUFFICIENT_RESOURCES, nodes=3))
    await task(api, id, TaskState.PENDING, reason=no_node)
    (one,) = await problems(api)
    assert (one["Code"], one["Slot"], one["State"]) == ("pending", "1", "pending")
    assert one["Reason"] == "no suitable node (insufficient resources on 3 nodes)"
    assert "add a node" in one["Advice"]


async def test_a_failed_task_says_when_it_is_tried_again(api: Api) -> None:
    id = await api.create("web", TaskTemplate={
        "ContainerSpec": {"Image": "demo:1"}, "RestartPolicy": {"Condition": "any", "Delay": 20_000_000_000},
    })  # fmt: skip
    await take_up(api, id)
    status = TaskStatus(TaskState.FAILED, NOW, exit_code=3, reason=reason(Code.NON_ZERO_EXIT, exit_code=3))
    await task(api, id, TaskState.ASSIGNED, node_id=W1, desired=TaskState.SHUTDOWN, status=status)
    (one,) = await problems(api)
    assert (one["Code"], one["Node"]) == ("waiting-to-restart", "w1")
    assert one["Reason"] == "task: non-zero exit (3); it is replaced in 20 s"
    assert one["RetryAt"] == "2023-11-14T22:13:40.250000000Z"
    assert "logs" in one["Advice"]


async def test_a_crash_loop_says_that_it_waits_longer_each_time(api: Api) -> None:
    id = await api.create("web")
    await take_up(api, id)
    status = TaskStatus(TaskState.FAILED, NOW, exit_code=3, reason=reason(Code.NON_ZERO_EXIT, exit_code=3))
    restarts = [NOW - 10 * n for n in range(7, 0, -1)]
    fields = {"node_id": W1, "desired": TaskState.SHUTDOWN, "restarts": restarts}
    await task(api, id, TaskState.ASSIGNED, status=status, **fields)
    (one,) = await problems(api)
    assert one["Code"] == "waiting-to-restart"
    assert "it is replaced in 20 s (it keeps ending: 7 restarts within 5 minutes" in one["Reason"]
    assert "up to 60 s" in one["Reason"]


async def test_a_job_says_how_far_it_is_and_that_it_is_done(api: Api) -> None:
    id = await api.create("web", Mode={"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 2}})
    await take_up(api, id)
    done, busy = TaskStatus(TaskState.COMPLETE, NOW), TaskStatus(TaskState.RUNNING, NOW)
    for slot, status in ((1, done), (2, busy)):
        await task(api, id, TaskState.ASSIGNED, slot, node_id=W1, desired=TaskState.COMPLETE, status=status)
    told = await api.get("/argosy/v1/services/web/explain")
    assert told["Summary"] == "1 of 2 tasks completed, 1 run"
    await api.manager.store.commit([Put(STATUS, "t2", done)])
    told = await api.get("/argosy/v1/services/web/explain")
    assert told["Summary"].startswith("done, 2 of 2 tasks completed; ")
    assert told["Problems"] == []


async def test_a_task_that_the_restart_policy_gave_up_says_so(api: Api) -> None:
    id = await api.create("web", TaskTemplate={
        "ContainerSpec": {"Image": "demo:1"}, "RestartPolicy": {"Condition": "none"},
    })  # fmt: skip
    await take_up(api, id)
    status = TaskStatus(TaskState.FAILED, NOW, reason=reason(Code.UNHEALTHY, failures=3, probe_code=1))
    await task(api, id, TaskState.ASSIGNED, node_id=W1, desired=TaskState.SHUTDOWN, status=status)
    (one,) = await problems(api)
    assert one["Code"] == "given-up"
    assert "unhealthy container" in one["Reason"]
    assert "update --force web" in one["Advice"]


async def test_a_missing_image_a_starting_task_and_a_dead_node_are_told_apart(api: Api) -> None:
    id = await api.create("web", Mode={"Replicated": {"Replicas": 4}})
    await take_up(api, id)
    cause = reason(Code.IMAGE_UNAVAILABLE, image="demo:1", text="registry does not answer")
    getting = TaskStatus(TaskState.PREPARING, NOW, reason=reason(Code.GETTING_IMAGE, cause, image="demo:1"))
    await task(api, id, TaskState.ASSIGNED, 1, node_id=W1, status=getting)
    checking = TaskStatus(TaskState.STARTING, NOW, reason=reason(Code.HEALTH_CHECK_PENDING))
    await task(api, id, TaskState.ASSIGNED, 2, node_id=W1, status=checking)
    lost = TaskStatus(TaskState.RUNNING, NOW)
    await api.manager.store.commit([Put(NODE_DECISION, M1, NodeDecision(NodeState.DOWN, NOW))])
    await task(api, id, TaskState.ASSIGNED, 3, node_id=M1, status=lost)
    first, *rest = await problems(api)
    assert (first["Scope"], first["Reason"]) == ("service", "1 tasks have not been made yet")
    assert [(p["Slot"], p["Code"]) for p in rest] == [("1", "image"), ("2", "starting"), ("3", "node-down")]


async def test_updates_that_stopped_and_addresses_that_lack_are_told_first(api: Api) -> None:
    id = await three_revisions(api)
    paused = UpdateStatus("paused", NOW, reason=reason(Code.TASK_ENDED_EARLY, task="t9"))
    await take_up(api, id, 2, paused)
    await task(api, id, TaskState.ASSIGNED, node_id=W1, status=TaskStatus(TaskState.RUNNING, NOW))
    (one,) = await problems(api)
    assert (one["Code"], one["Scope"], one["Reason"]) == (
        "update-paused", "service", "update paused due to failure or early termination of task t9",
    )  # fmt: skip
    rolled = UpdateStatus("rollback_completed", NOW, NOW, revision=2)
    await take_up(api, id, 0, rolled, force=2)
    (one,) = await problems(api)
    assert one["Code"] == "rolled-back"
    assert "revision 3 was rolled back to revision 2" in one["Reason"]


async def test_without_a_leader_that_is_the_first_thing_said(api: Api) -> None:
    await api.create("web")
    assert (await problems(api))[0]["Reason"] == "no manager leads now, so nothing is decided"


# ── services that wait, and scheduled jobs ───────────────────────────────────────────────────────────────────────


async def test_a_service_that_waits_for_another_says_so_once(api: Api) -> None:
    id = await api.create("web")
    await take_up(api, id)
    waiting = reason(Code.WAITING_FOR_SERVICES, reason(Code.DEPENDENCY, service="db", condition="healthy"))
    held = ServiceDecision(revision=1, wanted=1, waiting=waiting, held=True)
    await api.manager.store.commit([Put(SERVICE_DECISION, id, held)])
    await task(api, id, TaskState.NEW)
    (one,) = await problems(api)
    assert (one["Code"], one["Scope"]) == ("waiting", "service")
    assert one["Reason"] == "waiting for service db to be healthy"


async def test_the_runs_of_a_scheduled_job_are_told_and_a_failed_one_explained(api: Api) -> None:
    id = await api.create("web", Mode={"ReplicatedJob": {}}, Schedule={"Cron": "0 3 * * *"})
    await take_up(api, id)
    runs = [
        JobRun(1, NOW - 90, NOW - 89, NOW - 80, "completed", 1, 0, 1),
        JobRun(2, NOW - 60, NOW - 59, NOW - 50, "failed", 1, 1, 1),
    ]
    await api.manager.store.commit([Put(SERVICE_DECISION, id, ServiceDecision(revision=1, wanted=1, runs=runs))])
    told = await api.get("/argosy/v1/services/web/runs")
    assert [(run["Number"], run["Outcome"]) for run in told["Runs"]] == [(2, "failed"), (1, "completed")]
    assert (told["Schedule"], told["NextAt"]) == ({"Cron": "0 3 * * *"}, "2023-11-15T03:00:00.000000000Z")
    shown = await api.get("/services/web")
    assert shown["JobStatus"] == {"JobIteration": {"Index": 2}, "LastExecution": "2023-11-14T22:12:21.250000000Z"}
    explained = await api.get("/argosy/v1/services/web/explain")
    assert explained["Summary"] == "0 tasks run; the next run is due at 2023-11-15T03:00:00Z"
    (one,) = explained["Problems"]
    assert (one["Code"], one["Reason"]) == ("run-failed", "run 2, due at 2023-11-14T22:12:20Z, failed")
    runs.append(JobRun(0, NOW - 30, outcome="skipped"))
    await api.manager.store.commit([Put(SERVICE_DECISION, id, ServiceDecision(revision=1, wanted=1, runs=runs))])
    (one,) = (await api.get("/argosy/v1/services/web/explain"))["Problems"]
    assert one["Reason"] == "the run due at 2023-11-14T22:12:50Z was skipped: one before was at work"


async def test_a_scheduled_job_that_never_ran_has_no_last_execution_and_wants_no_task(api: Api) -> None:
    await api.create("web", Mode={"ReplicatedJob": {}}, Schedule={"Cron": "0 3 * * *"})
    (shown,) = await api.get("/services?status=true")
    assert shown["JobStatus"] == {"JobIteration": {"Index": 0}}
    assert shown["ServiceStatus"] == {"RunningTasks": 0, "DesiredTasks": 0, "CompletedTasks": 0}
