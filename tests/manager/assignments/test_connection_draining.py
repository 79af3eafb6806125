"""Connection draining: when a task that is to stop may be signalled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.defaults import LINGER, NAME_TTL
from api.objects.decided import NodeDecision, TaskAddress
from api.objects.kinds import APPLIED_REVISION, NODE_DECISION, SESSION, STATUS, TASK
from api.objects.observed import AppliedRevision, NodeSession
from api.states import NodeState, TaskState
from manager.assignments.connection_draining import AT_ONCE, ConnectionDraining, StopDelay, revision_to_publish
from manager.store.state import State
from tests import make

ADDRESS = [TaskAddress("net", "10.0.1.7/24")]


def a_cluster(endpoint_mode: str = "", **fields: object) -> State:
    """Hosts n1 and n2 with sessions at m1, n3 at m2; t1 and t2 of one service run on n1 and n2."""
    given = {"state": TaskState.ASSIGNED, "desired": TaskState.RUNNING, "addresses": ADDRESS, **fields}
    return make.state(
        make.node("n1"),
        make.node("n2"),
        make.node("n3"),
        (SESSION, "n3", NodeSession("m2")),
        make.decided_service("s1", endpoint_mode=endpoint_mode),
        make.task("t1", node_id="n1", **given),
        make.task("t2", node_id="n2", **given),
        make.status("t1"),
        make.status("t2"),
    )


def tell_to_stop(state: State, task_id: str = "t1", desired: TaskState = TaskState.SHUTDOWN) -> int:
    """Returns the revision of the change."""
    make.apply(state, (TASK, task_id, replace(state.tasks[task_id], desired=desired)))
    return state.revision


def confirm(state: State, manager_id: str, revision: int) -> None:
    make.apply(state, (APPLIED_REVISION, manager_id, AppliedRevision(revision)))


def drain(state: State, task_id: str = "t1") -> StopDelay:
    """The stop delay of a task; a manager that has just started computes the same."""
    now = state.index(ConnectionDraining).of(state.tasks[task_id])
    assert ConnectionDraining(state).of(state.tasks[task_id]) == now
    return now


def test_a_task_waits_until_the_hosts_of_every_manager_have_confirmed() -> None:
    state = a_cluster()
    assert drain(state) == AT_ONCE
    told = tell_to_stop(state)
    assert drain(state) == StopDelay(True, LINGER)
    confirm(state, "m1", told)
    assert drain(state).waiting
    confirm(state, "m2", told - 1)
    assert drain(state).waiting
    confirm(state, "m2", told + 5)
    assert drain(state) == StopDelay(False, LINGER)


@pytest.mark.parametrize("desired", [TaskState.SHUTDOWN, TaskState.REMOVE])
def test_a_slot_that_is_scaled_away_is_drained_like_one_that_is_replaced(desired: TaskState) -> None:
    state = a_cluster()
    tell_to_stop(state, desired=desired)
    assert drain(state).waiting


def test_a_service_of_which_nobody_serves_any_more_is_not_waited_for() -> None:
    state = a_cluster()
    tell_to_stop(state, "t1")
    tell_to_stop(state, "t2")
    assert drain(state, "t1") == drain(state, "t2") == AT_ONCE
    assert revision_to_publish(state, "m1", {"n1": 99, "n2": 99}) is None


@pytest.mark.parametrize(
    "status", [TaskState.STARTING, TaskState.FAILED, None], ids=["not yet ready", "ended", "never heard of"]
)
def test_a_task_that_took_no_connections_is_not_waited_for(status: TaskState | None) -> None:
    state = a_cluster()
    make.apply(state, make.status("t1", status) if status else (STATUS, "t1", None))
    tell_to_stop(state)
    assert drain(state) == AT_ONCE


def test_a_task_on_no_network_is_not_waited_for() -> None:
    state = a_cluster(addresses=[])
    tell_to_stop(state)
    assert drain(state) == AT_ONCE


def test_without_a_virtual_address_clients_may_remember_the_tasks_own() -> None:
    state = a_cluster(endpoint_mode="dnsrr")
    tell_to_stop(state)
    assert drain(state).linger == NAME_TTL


def test_an_unhealthy_task_or_one_of_a_lost_node_is_nobodys_successor() -> None:
    for lost in (make.status("t2", closing=True), (NODE_DECISION, "n2", NodeDecision(NodeState.DOWN))):
        state = a_cluster()
        tell_to_stop(state)
        assert drain(state).waiting
        make.apply(state, lost)
        assert drain(state) == AT_ONCE


def test_a_host_that_lost_its_session_or_was_removed_is_not_waited_for() -> None:
    state = a_cluster()
    confirm(state, "m1", tell_to_stop(state))
    assert drain(state).waiting
    make.apply(state, (SESSION, "n3", None))
    assert not drain(state).waiting
    make.apply(state, (SESSION, "n3", NodeSession("m2")))
    assert drain(state).waiting
    make.apply(state, (SESSION, "n3", NodeSession("m2", left=True)))
    assert not drain(state).waiting


def test_a_host_that_comes_to_another_manager_counts_when_that_has_heard_it() -> None:
    state = a_cluster()
    told = tell_to_stop(state)
    confirm(state, "m1", told)
    make.apply(state, (SESSION, "n3", NodeSession("m1")))
    # m1 published that before n3 had a session there
    assert drain(state).waiting
    assert revision_to_publish(state, "m1", {"n1": told, "n2": told, "n3": 0}) is None
    again = revision_to_publish(state, "m1", {"n1": told + 3, "n2": told + 3, "n3": told + 3})
    assert again == told + 3
    confirm(state, "m1", again)
    assert not drain(state).waiting


def test_a_manager_confirms_for_its_slowest_host_and_only_when_somebody_waits() -> None:
    state = a_cluster()
    assert revision_to_publish(state, "m1", {"n1": 50, "n2": 50}) is None
    told = tell_to_stop(state)
    assert revision_to_publish(state, "m1", {"n1": told + 9, "n2": told}) == told
    # no task waits for that revision
    assert revision_to_publish(state, "m1", {"n1": told + 9, "n2": told - 1}) is None
    # a host with a lease, but without a stream here at the moment
    assert revision_to_publish(state, "m1", {"n1": told}) is None
    confirm(state, "m1", told)
    assert revision_to_publish(state, "m1", {"n1": told + 9, "n2": told + 9}) is None
    # no hosts here
    assert revision_to_publish(state, "m3", {}) is None


ACTIONS = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(list(TaskState)[7:10])),
    st.tuples(st.just("status"), st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(list(TaskState)[6:11])),
    st.tuples(st.just("forget"), st.sampled_from(["t1", "t2", "t3"]), st.none()),
    st.tuples(st.just("node"), st.sampled_from(["n1", "n2"]), st.sampled_from(NodeState)),
    st.tuples(st.just("session"), st.sampled_from(["n1", "n2", "n3"]), st.sampled_from(["m1", "m2", ""])),
    st.tuples(st.just("confirm"), st.sampled_from(["m1", "m2"]), st.integers(0, 60)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_the_view_that_follows_says_the_same_as_one_made_anew(actions: list[tuple[str, str, object]]) -> None:
    state = a_cluster()
    followed = state.index(ConnectionDraining)
    for kind, id, value in actions:
        if kind == "tell":
            row = make.task(id, node_id="n1", state=TaskState.ASSIGNED, desired=value, addresses=ADDRESS)
        elif kind == "status":
            row = make.status(id, value)  # type: ignore[arg-type]
        elif kind == "forget":
            row = (TASK, id, None)
        elif kind == "node":
            row = (NODE_DECISION, id, NodeDecision(value))  # type: ignore[arg-type]
        elif kind == "session":
            row = (SESSION, id, NodeSession(str(value)) if value else None)
        else:
            row = (APPLIED_REVISION, id, AppliedRevision(value))  # type: ignore[arg-type]
        make.apply(state, row)
        anew = ConnectionDraining(state)
        assert (followed.applied, sorted(followed.stop_revisions())) == (anew.applied, sorted(anew.stop_revisions()))
        assert [followed.of(task) for task in state.tasks.values()] == [anew.of(task) for task in state.tasks.values()]
