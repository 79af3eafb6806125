"""Suspicion: which nodes are suspected, and the consequences."""

from __future__ import annotations

import asyncio

import pytest

from api.objects.kinds import CURRENT_LEADER, LEADERSHIP, SESSION, SUSPICIONS
from api.objects.observed import Leadership, NodeSession, Suspicions
from api.reasons.reason_text import text
from api.states import NodeState, TaskState
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.assignments.assignment_sources import endpoint_assignments
from manager.assignments.connection_draining import ConnectionDraining
from manager.hosts.suspicion import Suspicion, is_suspected, suspicion
from manager.leader.election import Election
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put
from manager.store.state import State
from tests import make
from tests.manager.world import World

MANAGERS = ("m1", "m2", "m3")


def state(suspect: dict[str, list[str]] | None = None, lost: dict[str, list[str]] | None = None, **held: str) -> State:
    """Suspected and lost nodes by manager; `held`: the manager with the session, by node."""
    suspect, lost = suspect or {}, lost or {}
    rows = [
        (SUSPICIONS, id, Suspicions(sorted({*suspect.get(id, []), *lost.get(id, [])}), lost.get(id, [])))
        for id in MANAGERS
    ]
    return make.state(*rows, *((SESSION, node, NodeSession(manager)) for node, manager in held.items()))


def test_the_manager_that_holds_the_session_is_the_judge() -> None:
    assert suspicion(state({"m1": ["w1"]}, w1="m1"), "w1") is Suspicion.SUSPECTED
    assert suspicion(state(lost={"m1": ["w1"]}, w1="m1"), "w1") is Suspicion.LOST
    assert suspicion(state({"m1": ["w1"]}, w1="m2"), "w1") is Suspicion.NONE
    assert suspicion(state(w1="m1"), "w1") is Suspicion.NONE


def test_hosts_of_a_manager_that_died_are_judged_by_all_that_live() -> None:
    both = {"m2": ["m1", "w1"], "m3": ["m1", "w1"]}
    assert is_suspected(state(both, w1="m1"), "w1")
    assert not is_suspected(state({"m2": ["m1", "w1"], "m3": ["m1"]}, w1="m1"), "w1"), "m3 reaches it"
    assert not is_suspected(state(both, w1="m1"), "w2")


def test_a_manager_is_judged_by_the_others_and_not_by_itself() -> None:
    dead = state({"m2": ["m1"], "m3": ["m1"]}, m1="m1")
    assert is_suspected(dead, "m1")
    assert not is_suspected(dead, "m2")
    assert not is_suspected(state({"m2": ["m1"], "m1": ["m2"]}, m1="m1", m2="m2"), "m1"), "only their link is cut"


def test_who_is_suspected_by_others_judges_nobody() -> None:
    """m1 is cut off: it has lost all others, and all others have lost it."""
    cut = state({"m1": ["m2", "m3", "w1"], "m2": ["m1"], "m3": ["m1"]}, w1="m2", m1="m1", m2="m2")
    assert not is_suspected(cut, "w1")
    assert is_suspected(cut, "m1")


def test_a_manager_that_reaches_nobody_makes_nobody_suspected() -> None:
    """The manager's own network is broken: it can still write, but its probes are lost."""
    blind = state(lost={"m1": ["m2", "m3", "w1"]}, w1="m2", m1="m1", m2="m2", m3="m3")
    assert not any(is_suspected(blind, id) for id in ("m1", "m2", "m3", "w1"))


def test_only_what_all_judges_have_lost_is_lost() -> None:
    seen = state({"m3": ["m1"]}, {"m2": ["m1"]}, m1="m1")
    assert suspicion(seen, "m1") is Suspicion.SUSPECTED


def published() -> World:
    """A running task with a published port on each of two hosts."""
    port = make.port(80)
    rows = (make.cluster(), make.ingress(), make.node("n1"), make.node("n2"), make.service(replicas=2, ports=[port]))
    return World(*rows).settle()


def test_an_endpoint_on_a_suspected_host_is_not_ready_and_comes_back_at_once() -> None:
    w = published()
    drains = w.state.index(ConnectionDraining)
    [task] = [task for task in w.running() if task.node_id == "n1"]
    assert task.addresses

    def is_ready() -> bool:
        [order] = endpoint_assignments(w.state, task.id)
        return order.ready

    assert is_ready()
    assert task.id in drains._serving["s1"]
    w.put((SUSPICIONS, "m1", Suspicions(["n1"])))
    w.settle()
    assert not is_ready()
    assert task.id not in drains._serving["s1"]
    assert "n1" in {task.node_id for task in w.running()}, "nothing is moved on a mere suspicion"
    assert w.state.node_state("n1") is NodeState.READY

    w.put((SUSPICIONS, "m1", Suspicions()))
    assert is_ready()
    assert task.id in drains._serving["s1"]
    w.put((SUSPICIONS, "m1", Suspicions(["n1"])), (SUSPICIONS, "m2", Suspicions()))
    w.put((SESSION, "n1", NodeSession("m2")))  # its agent could not reach m1, and connected to m2
    assert is_ready()


def test_the_tasks_of_a_lost_host_run_elsewhere_though_its_lease_lives() -> None:
    w = World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=2)).settle()
    w.put((SUSPICIONS, "m1", Suspicions(["n1"], ["n1"])))
    w.decide()
    assert w.state.node_state("n1") is NodeState.DOWN
    assert text(w.state.node_decisions["n1"].reason) == "its host does not answer"
    w.settle()
    assert [task.node_id for task in w.going()] == ["n2", "n2"]

    w.put((SUSPICIONS, "m1", Suspicions()))
    w.settle()
    assert w.state.node_state("n1") is NodeState.READY


def test_a_new_leader_does_not_wait_for_a_lost_host_to_come_back() -> None:
    w = World(make.cluster(), make.node("n1"), make.node("n2"), make.service(replicas=2)).settle()
    w.lose("n1")
    w.put((LEADERSHIP, CURRENT_LEADER, Leadership("m2", w.now)), (SUSPICIONS, "m2", Suspicions(["n1"], ["n1"])))
    w.new_leader()
    w.decide()

    assert w.state.node_state("n1") is NodeState.DOWN


def test_a_host_that_is_down_is_not_waited_for_by_tasks_that_stop() -> None:
    w = published()
    drains = w.state.index(ConnectionDraining)
    assert drains.applied == 0
    w.put((SUSPICIONS, "m1", Suspicions(["n1", "n2"], ["n1", "n2"])))
    w.decide()
    assert w.state.sessions
    assert drains.applied > 0


@pytest.mark.looptime
async def test_a_leader_on_a_lost_host_is_deposed_though_its_lease_lives() -> None:
    clock, database = loop_clock(0.0), MemoryDatabase()
    first, second = (MemoryStore(clock, database) for _ in range(2))
    term = await Election(first, "m1", clock, 3.0).campaign()
    holding = asyncio.ensure_future(term.hold())
    waiting = asyncio.ensure_future(Election(second, "m2", clock, 3.0).campaign())
    await asyncio.sleep(5)
    assert not waiting.done()

    await second.commit([Put(SUSPICIONS, "m2", Suspicions(["m1"], ["m1"]))])
    async with asyncio.timeout(1):
        new = await waiting
        await holding
    assert new.fence.revision > term.fence.revision
    await stop([holding])


def test_running_tasks_of_a_suspected_host_stay_running() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(replicas=1)).settle()
    w.put((SUSPICIONS, "m1", Suspicions(["n1"])))
    w.wait(60)
    assert [w.state.task_state(task) for task in w.running()] == [TaskState.RUNNING]
