"""A new leader goes on wherever the old one was: after every commit, and with whatever it finds."""

from __future__ import annotations

from collections import Counter

import pytest

from api.defaults import RECONNECT_TIME
from api.objects.decided import Task
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP, SESSION
from api.objects.observed import Leadership, NodeSession
from api.service.mode import EmptyMode, Mode
from api.states import Availability, NodeState, TaskState
from manager.store.naming import task_name
from tests import make
from tests.manager.world import World


def found(*rows: object, mode: Mode | None = None, **fields: object) -> World:
    """What a new leader finds: one service (of one replica on n1), and a second node."""
    fields.setdefault("restart", make.restart(delay=5))
    return World(
        make.cluster(), make.node("n1"), make.node("n2"), *make.decided_service(mode=mode, **fields), *rows, now=1000.0,
    )  # fmt: skip


GLOBAL = make.global_mode()
MODES = pytest.mark.parametrize(
    ("mode", "slot"),
    [(None, 1), (GLOBAL, 0), (make.job_mode(1), 1), (Mode(global_job=EmptyMode()), 0)],
    ids=["replicated", "global", "replicated-job", "global-job"],
)
"""Each mode, and the slot of its task on n1."""


def old_task(id: str = "old", mode: Mode | None = None, **fields: object) -> make.Row:
    if mode is not None and (mode.replicated_job or mode.global_job):
        fields = {"job_iteration": 1, "desired": TaskState.COMPLETE, **fields}
    fields = {"node_id": "n1", "state": TaskState.ASSIGNED, "created_at": 900.0, "updated_at": 998.0, **fields}
    return make.task(id, **fields)


def in_slot(w: World, slot: int) -> list[Task]:
    """What runs in a numbered slot, or else in n1's."""
    return [task for task in w.running() if (task.slot == slot if slot else task.node_id == "n1")]


@pytest.mark.parametrize("ended", [TaskState.FAILED, TaskState.REJECTED])
@MODES
def test_a_task_that_ended_while_nobody_led_is_replaced_after_the_delay(
    mode: Mode | None, slot: int, ended: TaskState
) -> None:
    w = found(old_task(mode=mode, slot=slot), make.status("old", ended, 990.0), mode=mode)
    w.wait(4)
    assert not in_slot(w, slot)
    w.wait(2)
    assert len(in_slot(w, slot)) == 1
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


@MODES
def test_tasks_on_a_node_that_does_not_exist_are_replaced(mode: Mode | None, slot: int) -> None:
    w = found(old_task(mode=mode, slot=slot, node_id="n9"), make.status("old", TaskState.RUNNING), mode=mode)
    w.settle()
    assert len(w.running()) == (1 if slot else 2)
    assert {task.node_id for task in w.running()} <= {"n1", "n2"}


def test_tasks_without_a_service_are_stopped_and_forgotten() -> None:
    w = World(make.cluster(), make.node("n1"), old_task(service_id="gone"), make.status("old", TaskState.RUNNING))
    w.decide()
    assert [task.desired for task in w.tasks("gone")] == [TaskState.REMOVE]
    w.settle()
    assert not w.tasks("gone")


def test_services_that_nothing_happened_to_are_left_alone() -> None:
    w = World(
        make.cluster(), make.node("n1"), make.node("n2"), *make.decided_service("s1", mode=make.global_mode()),
        *make.decided_service("s2", mode=make.global_mode()), *make.decided_service("s3", replicas=2),
    ).settle()  # fmt: skip
    before = dict(w.state.tasks)
    failed = w.running()[0]
    w.tell(failed.id, TaskState.FAILED)
    w.new_leader()
    w.wait(10)
    assert len(w.running()) == 2
    assert failed.id not in {task.id for task in w.running()}
    assert all(w.state.tasks[id] is task for id, task in before.items() if task.service_id != "s1")


def test_slots_of_a_job_beyond_its_total_are_given_up() -> None:
    mode, rows = make.job_mode(2, 2), []
    for slot in (1, 2, 3):
        rows += [old_task(f"t{slot}", mode, slot=slot), make.status(f"t{slot}", TaskState.RUNNING)]
    w = found(*rows, mode=mode).settle()
    assert [task.slot for task in w.running()] == [1, 2]
    assert "t3" not in w.state.tasks


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
                planner(w.state, w.memory, make.everything(w.state), w.now)
            w.new_leader()
        w.round()
        assert len({task.slot for task in w.running()}) == 3
        w.agents()
    w.wait(10)
    assert (w.update(), [task.revision for task in w.running()]) == ("completed", [2, 2, 2])


@MODES
def test_a_drained_node_found_by_a_new_leader_is_left(mode: Mode | None, slot: int) -> None:
    w = found(old_task(mode=mode, slot=slot), make.status("old", TaskState.RUNNING), mode=mode)
    w.put(make.node("n1", availability=Availability.DRAIN)[:2])
    w.settle()
    assert [task.node_id for task in w.running()] == ["n2"]
    assert w.state.task_state(w.state.tasks["old"]) is TaskState.SHUTDOWN


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
    w.put((SESSION, "n1", NodeSession("m1", left=True)))
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
