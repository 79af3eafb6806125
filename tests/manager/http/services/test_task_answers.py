"""Answers about tasks are cached, and never stale."""

from __future__ import annotations

from typing import Any

import pytest

from api.network.network_spec import NetworkSpec
from api.objects.decided import Revision, Task, TaskAddress
from api.objects.kinds import NETWORK, REVISION, STATUS, TASK, revision_id
from api.objects.observed import TaskStatus
from api.objects.wanted import Network
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import TaskState
from manager.http.services.task_answers import TaskAnswers
from manager.store.in_memory import MemoryStore
from manager.store.interface import ANY, Change, Delete, Put

TASK_1 = Task("t1", "s1", 1, 1, "n1", TaskState.ASSIGNED, addresses=[TaskAddress("net", "10.0.0.2/24")])
FORCED = ServiceSpec("api", task_template=TaskSpec(force_update=1))
ROWS = [
    Put(TASK, "t1", TASK_1, ANY),
    Put(STATUS, "t1", TaskStatus(TaskState.RUNNING, 5.0), ANY),
    Put(REVISION, revision_id("s1", 1), Revision("s1", 1, ServiceSpec("web")), ANY),
    Put(NETWORK, "net", Network("net", 1.0, NetworkSpec("front")), ANY),
]
CHANGES: list[Change] = [
    Put(TASK, "t1", Task("t1", "s1", 1, 1, "n1", TaskState.ASSIGNED, desired=TaskState.SHUTDOWN), ANY),
    Put(STATUS, "t1", TaskStatus(TaskState.COMPLETE, 6.0), ANY),
    Delete(STATUS, "t1", ANY),
    Put(
        REVISION,
        revision_id("s1", 1),
        Revision("s1", 1, FORCED),
        ANY,
    ),
    Delete(REVISION, revision_id("s1", 1), ANY),
    Put(NETWORK, "net", Network("net", 1.0, NetworkSpec("back")), ANY),
    Delete(NETWORK, "net", ANY),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_is_as_if_it_were_made_anew_after_any_change(change: Change) -> None:
    store = MemoryStore(lambda: 0.0)
    await store.commit(ROWS)
    before = store.state.index(TaskAnswers).of(store.state.tasks["t1"])

    await store.commit([change])

    after: Any = store.state.index(TaskAnswers).of(store.state.tasks["t1"])
    assert after != before
    assert after == TaskAnswers(store.state).of(store.state.tasks["t1"])


async def test_an_answer_is_made_once() -> None:
    store = MemoryStore(lambda: 0.0)
    await store.commit(ROWS)
    answers, task = store.state.index(TaskAnswers), store.state.tasks["t1"]

    assert answers.of(task) is answers.of(task)
