"""Nodes where a service keeps failing."""

from __future__ import annotations

from typing import Any

from api.states import TaskState
from tests import make
from tests.manager.scheduler.placing import NOW, pending, schedule


def failed(number: int, revision: int = 1, at: float = NOW - 10) -> list[Any]:
    rows = []
    for n in range(number):
        task = make.task(f"f{n}", revision=revision, node_id="n1", state=TaskState.ASSIGNED, desired=TaskState.SHUTDOWN)
        rows += [task, make.status(f"f{n}", TaskState.FAILED, at)]
    return rows


def test_nodes_where_the_service_keeps_failing_come_last() -> None:
    base = [
        make.node("n1"),
        make.node("n2"),
        *make.decided_service(),
        make.task("x", slot=7, node_id="n2", state=TaskState.ASSIGNED),
        *pending("s1", 1, start=9),
    ]
    assert schedule(*base, *failed(4)).tasks["s1-009"].node_id == "n1"
    assert schedule(*base, *failed(5)).tasks["s1-009"].node_id == "n2"
    assert schedule(*base, *failed(5, at=NOW - 301)).tasks["s1-009"].node_id == "n1"
    assert schedule(*base, *failed(5, revision=0)).tasks["s1-009"].node_id == "n1"


def test_a_task_bound_to_a_faulty_node_is_placed_there_all_the_same() -> None:
    state = schedule(
        make.node("n1"),
        make.node("n2"),
        *make.decided_service(mode=make.global_mode()),
        *failed(6),
        make.task("bound", slot=0, node_id="n1", state=TaskState.PENDING),
    )
    assert (state.tasks["bound"].node_id, state.tasks["bound"].state) == ("n1", TaskState.ASSIGNED)


def test_a_faulty_node_is_better_than_none() -> None:
    state = schedule(make.node("n1"), *make.decided_service(), *failed(5), *pending("s1", 1, start=9))
    assert state.tasks["s1-009"].node_id == "n1"
