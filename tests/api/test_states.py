"""The order of states and the table of moves."""

from __future__ import annotations

from itertools import pairwise, product

from api.states import LEGAL, TaskState, is_legal


def test_states_are_ordered_as_swarm_orders_them() -> None:
    names = (
        "new pending assigned accepted preparing ready starting running"
        " complete shutdown failed rejected remove orphaned"
    )
    assert [state.value for state in TaskState] == names.split()
    assert all(a < b and b > a and a <= b and b >= a for a, b in pairwise(TaskState))


def test_exactly_the_states_after_running_are_final() -> None:
    assert [state for state in TaskState if state.is_terminal] == list(TaskState)[8:]


def test_a_task_only_ever_moves_forward_and_an_ended_one_at_most_to_orphaned() -> None:
    assert set(LEGAL) == set(TaskState)
    for old, new in product(TaskState, TaskState):
        if old is new:
            assert is_legal(old, new)
        elif is_legal(old, new):
            assert new > old or new is TaskState.ORPHANED
            assert not old.is_terminal or new is TaskState.ORPHANED


def test_an_agent_may_skip_states_and_end_from_any_of_them() -> None:
    assert is_legal(TaskState.ASSIGNED, TaskState.RUNNING)
    assert is_legal(TaskState.NEW, TaskState.REJECTED)
    assert not is_legal(TaskState.RUNNING, TaskState.STARTING)
    assert not is_legal(TaskState.COMPLETE, TaskState.FAILED)
