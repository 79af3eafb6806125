"""Answers about services are cached, and never stale."""

from __future__ import annotations

from typing import Any

import pytest

from api.objects.decided import JobRun, NetworkDecision, Revision, ServiceDecision, ServiceVIP, Task, UpdateStatus
from api.objects.kinds import NETWORK_DECISION, REVISION, SERVICE, SERVICE_DECISION, TASK, revision_id
from api.objects.wanted import Service
from api.service.mode import Mode, ReplicatedJob
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec
from manager.http.services.service_answers import ServiceAnswers
from manager.store.in_memory import MemoryStore
from manager.store.interface import ANY, Change, Put

JOB = ServiceSpec("web", mode=Mode(replicated_job=ReplicatedJob()), schedule=Schedule(cron="@daily"))
DECISION = ServiceDecision([ServiceVIP("net", "10.0.0.2")], wanted=2, revision=2, previous=1)
ROWS = [
    Put(SERVICE, "s1", Service("s1", spec=JOB, revision=2), ANY),
    Put(SERVICE_DECISION, "s1", DECISION, ANY),
    Put(REVISION, revision_id("s1", 1), Revision("s1", 1, ServiceSpec("web")), ANY),
    Put(REVISION, revision_id("s1", 2), Revision("s1", 2, JOB), ANY),
    Put(NETWORK_DECISION, "net", NetworkDecision("10.0.0.0/24", "", 4096), ANY),
]
CHANGES: list[Change] = [
    Put(SERVICE, "s1", Service("s1", updated_at=5.0, spec=JOB, revision=2), ANY),
    Put(SERVICE_DECISION, "s1", ServiceDecision(wanted=2, revision=2, update=UpdateStatus("updating")), ANY),
    Put(SERVICE_DECISION, "s1", ServiceDecision(wanted=2, revision=2, runs=[JobRun(1, started_at=5.0)]), ANY),
    Put(REVISION, revision_id("s1", 1), Revision("s1", 1, ServiceSpec("web", {"a": "b"})), ANY),
    Put(NETWORK_DECISION, "net", NetworkDecision("10.0.0.0/20", "", 4096), ANY),
    Put(TASK, "t1", Task("t1", "s1", 2, 1, job_iteration=3), ANY),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_is_as_if_it_were_made_anew_after_any_change(change: Change) -> None:
    store = MemoryStore(lambda: 0.0)
    await store.commit(ROWS)
    before = store.state.index(ServiceAnswers).of(store.state.services["s1"])

    await store.commit([change])

    after: Any = store.state.index(ServiceAnswers).of(store.state.services["s1"])
    assert after != before
    assert after == ServiceAnswers(store.state).of(store.state.services["s1"])


async def test_an_answer_is_made_once_and_numbers_of_tasks_are_not_kept() -> None:
    store = MemoryStore(lambda: 0.0)
    await store.commit(ROWS)
    answers, service = store.state.index(ServiceAnswers), store.state.services["s1"]

    assert answers.of(service) is answers.of(service)
    assert answers.with_status(service).service_status is not None
    assert answers.of(service).service_status is None
