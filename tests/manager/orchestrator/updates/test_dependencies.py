"""Services that wait for others before their tasks start."""

from __future__ import annotations

from typing import Any

import pytest

from api.objects.decided import Task
from api.objects.kinds import SERVICE
from api.reasons.reason_text import text
from api.service.mode import EmptyMode, Mode, ReplicatedJob
from api.service.service_spec import Dependency
from api.states import TaskState
from tests import make
from tests.manager.world import World

NODES = [make.node(f"n{n}") for n in (1, 2, 3)]


def dependent(id: str, *on: Dependency, **fields: Any) -> make.Row:
    """A service that depends on others."""
    return make.service(id, depends_on=list(on), **fields)


def at(**states: TaskState) -> Any:
    """Agents on which the tasks of some services go no further than said."""

    def run(task: Task) -> TaskState:
        return states.get(task.service_id, TaskState.RUNNING)

    return run


def messages(w: World, service_id: str = "web") -> set[tuple[TaskState, str]]:
    return {(w.state.task_state(task), text(task.reason)) for task in w.going(service_id)}


HEALTHY = Dependency("db", "healthy")
STARTING = at(db=TaskState.STARTING)


def test_tasks_stay_new_and_say_for_what_they_wait() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY, replicas=2)).settle(STARTING)
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    w.settle()
    assert messages(w) == {(TaskState.RUNNING, "")}
    assert w.update("web") == ""


def test_it_does_not_matter_which_is_made_first() -> None:
    w = World(make.cluster(), *NODES, dependent("web", HEALTHY)).settle()
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    w.put(make.service("db"))
    assert messages(w.settle()) == {(TaskState.RUNNING, "")}


def test_a_new_leader_goes_on_waiting_and_starting() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY)).settle(STARTING)
    w.new_leader()
    w.settle(STARTING)
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    w.new_leader()
    assert messages(w.settle()) == {(TaskState.RUNNING, "")}


def test_what_befalls_a_dependency_later_does_not_matter() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY)).settle()
    (before,) = w.running("web")
    w.settle(at(db=TaskState.FAILED))
    w.delete(SERVICE, "db")
    assert w.settle().running("web") == [before]
    w.tell(before.id, TaskState.FAILED)
    assert messages(w.wait(60)) == {(TaskState.RUNNING, "")}


def test_started_is_enough_where_that_is_asked_for() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", Dependency("db"))).settle(STARTING)
    assert messages(w) == {(TaskState.NEW, "waiting for service db to start")}
    w.tell(w.tasks("db")[0].id, TaskState.STARTING, pid=42)
    assert messages(w.settle(STARTING)) == {(TaskState.RUNNING, "")}


@pytest.mark.parametrize("job", [True, False])
def test_completion_of_a_job_or_a_one_shot_is_waited_for(job: bool) -> None:
    fields: dict[str, Any] = {"mode": Mode(replicated_job=ReplicatedJob(1, 2))} if job else {"replicas": 2}
    migrate = make.service("migrate", restart=make.restart("none"), **fields)
    w = World(make.cluster(), *NODES, migrate, dependent("web", Dependency("migrate", "completed"))).settle()
    assert messages(w) == {(TaskState.NEW, "waiting for service migrate to complete")}
    w.settle(at(migrate=TaskState.COMPLETE))
    assert messages(w) == {(TaskState.RUNNING, "")}


def test_a_global_dependency_is_waited_for_on_all_its_nodes() -> None:
    w = World(
        make.cluster(), *NODES, make.service("db", mode=Mode(global_=EmptyMode())), dependent("web", HEALTHY)
    ).decide()
    w.tell(w.tasks("db")[0].id, TaskState.RUNNING)
    w.decide()
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    assert messages(w.settle()) == {(TaskState.RUNNING, "")}


def test_an_update_waits_while_the_old_revision_goes_on() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY, replicas=2)).settle()
    w.change("db", image="db:2")
    want(w, replicas=2, image="web:2")
    w.settle(lambda task: TaskState.STARTING if task.service_id == "db" and task.revision == 2 else TaskState.RUNNING)
    decision = w.state.service_decisions["web"]
    assert text(decision.waiting) == "waiting for service db to be healthy"
    assert (decision.revision, decision.held) == (1, False)
    assert [task.revision for task in w.running("web")] == [1, 1]
    w.wait(20)
    assert [task.revision for task in w.running("web")] == [2, 2]
    assert (w.update("web"), text(w.state.service_decisions["web"].waiting)) == ("completed", "")


def test_scaling_and_rolling_back_do_not_wait() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY)).settle()
    w.delete(SERVICE, "db")
    want(w.settle(), replicas=3)
    assert len(w.settle().running("web")) == 3
    want(w, rollback=True, replicas=3, image="web:0")
    assert [task.revision for task in w.wait(60).running("web")] == [3, 3, 3]


def test_a_job_waits_for_every_new_run() -> None:
    job = Mode(replicated_job=ReplicatedJob(1, 1))
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY, mode=job))
    w.settle(at(web=TaskState.COMPLETE))
    w.change("db", image="db:2")
    want(w, mode=job, image="web:1")
    w.decide()
    assert text(w.state.service_decisions["web"].waiting)
    w.wait(20, at(web=TaskState.COMPLETE))
    assert w.state.service_decisions["web"].revision == 2


def test_what_is_optional_is_waited_for_only_while_there_is_hope() -> None:
    optional = Dependency("db", "healthy", optional=True)
    w = World(make.cluster(), *NODES, dependent("web", optional)).settle()
    assert messages(w) == {(TaskState.RUNNING, "")}
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", optional)).settle(STARTING)
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    w.settle(at(db=TaskState.FAILED))
    assert messages(w) == {(TaskState.RUNNING, "")}


def test_an_optional_dependency_that_is_removed_is_not_waited_for() -> None:
    optional = Dependency("db", "healthy", optional=True)
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", optional)).settle(STARTING)
    w.delete(SERVICE, "db")
    assert messages(w.settle()) == {(TaskState.RUNNING, "")}


def test_several_are_told_together() -> None:
    on = (HEALTHY, Dependency("migrate", "completed"))
    w = World(make.cluster(), *NODES, dependent("web", *on)).settle()
    text = "waiting for service db to be healthy, service migrate to complete"
    assert messages(w) == {(TaskState.NEW, text)}


def test_a_service_that_waits_can_be_changed_meanwhile() -> None:
    w = World(make.cluster(), *NODES, make.service("db"), dependent("web", HEALTHY, replicas=2)).settle(STARTING)
    want(w, image="web:2", replicas=2)
    w.settle(STARTING)
    assert messages(w) == {(TaskState.NEW, "waiting for service db to be healthy")}
    assert [task.revision for task in w.going("web")] == [2, 2]
    w.settle()
    assert [task.revision for task in w.running("web")] == [2, 2]
    assert w.update("web") == ""


def want(w: World, **fields: Any) -> None:
    """A new revision of web that depends on what the old one does."""
    w.change("web", depends_on=w.state.services["web"].spec.depends_on, **fields)
