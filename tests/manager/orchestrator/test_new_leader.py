"""A new leader goes on wherever the old one was: after every commit, and with whatever it finds."""

from __future__ import annotations

from collections import Counter

import pytest

from api.defaults import RECONNECT_TIME
from api.objects import CURRENT_LEADER, LEADERSHIP, SESSION, Leadership, Session, Task
from api.states import Availability, NodeState, TaskState
from manager.assignments import task_name
from tests import make
from tests.manager.world import World


def found(*rows: object) -> World:
    """What a new leader finds: one service of one replica on n1, and a second node."""
    return World(
        make.cluster(), make.node("n1"), make.node("n2"),
        *make.decided_service(restart=make.restart(delay=5)), *rows, now=1000.0,
    )  # fmt: skip


def old_task(id: str = "old", **fields: object) -> make.Row:
    return make.task(id, node_id="n1", state=TaskState.ASSIGNED, created_at=900.0, updated_at=998.0, **fields)


@pytest.mark.parametrize("ended", [TaskState.FAILED, TaskState.REJECTED])
def test_a_task_that_ended_while_nobody_led_is_replaced_after_the_delay(ended: TaskState) -> None:
    w = found(old_task(), make.status("old", ended, 990.0))
    w.wait(4)
    assert not w.running()
    w.wait(2)
    assert len(w.running()) == 1
    assert w.state.tasks["old"].desired is TaskState.SHUTDOWN


def test_a_delay_that_had_begun_is_not_begun_anew() -> None:
    w = found(old_task(desired=TaskState.SHUTDOWN), make.status("old", TaskState.FAILED, 997.0))
    w.wait(2.9)
    assert not w.running()
    w.wait(0.2)
    assert len(w.running()) == 1


def test_tasks_on_a_node_that_is_down_are_replaced() -> None:
    w = found(old_task(), make.status("old", TaskState.RUNNING))
    w.lose("n1")
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2"]
    assert w.state.node_state("n1") is NodeState.DOWN


def test_tasks_on_a_node_that_does_not_exist_are_replaced() -> None:
    w = found(make.task("old", node_id="n9", state=TaskState.ASSIGNED), make.status("old", TaskState.RUNNING))
    w.settle()
    assert [task.node_id in ("n1", "n2") for task in w.running()] == [True]


def test_tasks_without_a_service_are_stopped_and_forgotten() -> None:
    w = World(make.cluster(), make.node("n1"), old_task(service_id="gone"), make.status("old", TaskState.RUNNING))
    w.decide()
    assert [task.desired for task in w.tasks("gone")] == [TaskState.REMOVE]
    w.settle()
    assert not w.tasks("gone")


def test_services_that_nothing_happened_to_are_left_alone() -> None:
    w = World(
        make.cluster(), make.node("n1"), make.node("n2"),
        *make.decided_service("s1", replicas=1), *make.decided_service("s2", mode=make.global_mode()),
    ).settle()  # fmt: skip
    before = dict(w.state.tasks)
    w.tell(w.running()[0].id, TaskState.FAILED)
    w.new_leader()
    w.wait(10)
    assert all(w.state.tasks[id] is task for id, task in before.items() if task.service_id == "s2")


def test_a_job_that_is_half_done_is_finished() -> None:
    w = World(
        make.cluster(), make.node("n1"),
        *make.decided_service(mode=make.job_mode(3, 2)),
        make.task("a", node_id="n1", state=TaskState.ASSIGNED, desired=TaskState.COMPLETE, job_iteration=1),
        make.status("a", TaskState.COMPLETE),
    ).settle()  # fmt: skip
    assert [task.slot for task in w.running()] == [2, 3]


# ── after every commit ───────────────────────────────────────────────────────────────────────────────────────────


def good(task: Task) -> TaskState:
    return TaskState.RUNNING


def second_is_bad(task: Task) -> TaskState:
    return TaskState.FAILED if task.revision == 2 else TaskState.RUNNING


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
@pytest.mark.parametrize(
    ("run", "action", "end", "revision"),
    [(good, "pause", "completed", 2), (second_is_bad, "pause", "paused", 1),
     (second_is_bad, "rollback", "rollback_completed", 1)],
)  # fmt: skip
@pytest.mark.parametrize("every", [1, 2, 3])
def test_an_update_survives_a_new_leader_after_every_commit(
    order: str, run: object, action: str, end: str, revision: int, every: int
) -> None:
    w = World(make.cluster(), *[make.node(f"n{n}") for n in (1, 2, 3)], make.service(replicas=4)).settle()
    w.change(replicas=4, image="web:2", update=make.update(2, order=order, action=action))
    for step in range(200):
        w.round()
        if step % every == 0:
            w.new_leader()
        up = Counter(task.slot for task in w.tasks() if w.state.task_state(task) is TaskState.RUNNING)
        assert max(up.values()) <= (2 if order == "start-first" else 1)
        assert len({task.slot for task in w.running()}) >= (4 if order == "start-first" else 2)
        w.agents(run)  # type: ignore[arg-type]
        w.now += 0.3
    assert w.update() == end
    if end == "paused":
        assert {task.slot for task in w.going() if task.revision == 1} >= {3, 4}
    else:
        assert [(task.slot, task.revision) for task in w.running()] == [(slot, revision) for slot in (1, 2, 3, 4)]


@pytest.mark.parametrize("skipped", range(1, 14))
def test_a_commit_that_is_lost_with_its_leader_is_decided_again(skipped: int) -> None:
    w = World(make.cluster(), *[make.node(f"n{n}") for n in (1, 2, 3)], make.service(replicas=3)).settle()
    w.change(replicas=3, image="web:2", update=make.update(order="start-first"))
    for step in range(60):
        if step == skipped:  # it has planned, and is gone
            for planner in w.planners:
                planner(w.state, make.everything(w.state), w.now)
            w.new_leader()
        w.round()
        assert len({task.slot for task in w.running()}) == 3
        w.agents()
    w.wait(10)
    assert (w.update(), [task.revision for task in w.running()]) == ("completed", [2, 2, 2])


def test_a_drained_node_found_by_a_new_leader_is_left() -> None:
    w = found(old_task(), make.status("old", TaskState.RUNNING))
    w.put(make.node("n1", availability=Availability.DRAIN)[:2])
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2"]


def test_tasks_are_named_after_their_slot_or_node() -> None:
    w = World(
        make.cluster(), make.node("n1"), make.service("s1", name="web"), make.service("s2", mode=make.global_mode()),
    ).settle()  # fmt: skip
    one, other = w.tasks()[0], w.tasks("s2")[0]
    assert task_name(w.state, one) == f"web.1.{one.id}"
    assert task_name(w.state, other) == f"s2.n1.{other.id}"


def after_an_outage() -> World:
    """All managers were away for long, so that every session is gone when one leads again."""
    w = found(old_task(), make.status("old", TaskState.RUNNING))
    w.settle()
    w.lose("n1")
    w.lose("n2")
    w.put((LEADERSHIP, CURRENT_LEADER, Leadership("m1", w.now)))
    w.new_leader()
    return w


def test_a_new_leader_waits_for_the_agents_to_come_back_before_it_calls_their_nodes_down() -> None:
    w = after_an_outage()
    w.wait(RECONNECT_TIME - 1)
    w.regain("n1")
    w.regain("n2")
    w.wait(60)

    assert [task.id for task in w.running()] == ["old"]
    assert w.state.node_state("n1") is NodeState.READY


def test_a_node_that_said_goodbye_is_not_waited_for() -> None:
    w = after_an_outage()
    w.put((SESSION, "n1", Session("m1", left=True)))
    w.regain("n2")
    w.settle()

    assert w.state.node_state("n1") is NodeState.DOWN
    assert [task.node_id for task in w.running()] == ["n2"]


def test_a_node_that_does_not_come_back_to_a_new_leader_is_down() -> None:
    w = after_an_outage()
    w.regain("n2")
    w.wait(RECONNECT_TIME + 1)

    assert [task.node_id for task in w.running()] == ["n2"]
    assert w.state.node_state("n1") is NodeState.DOWN
