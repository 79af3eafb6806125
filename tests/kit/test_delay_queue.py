"""The agenda of delayed looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.delay_queue import Agenda


def test_keys_become_due_in_the_order_of_their_times() -> None:
    agenda: Agenda[str] = Agenda()
    for key, time in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        agenda.put(key, time)

    assert list(agenda.due(2.0)) == ["a", "b"]
    assert agenda.next_time() == 3.0
    assert list(agenda.due(2.0)) == []


def test_a_newer_time_replaces_the_older_in_either_direction() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("sooner", 9.0)
    agenda.put("sooner", 1.0)
    agenda.put("later", 1.0)
    agenda.put("later", 9.0)

    assert list(agenda.due(5.0)) == ["sooner"]
    assert list(agenda.due(10.0)) == ["later"]
    assert agenda.next_time() is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99))))
def test_it_behaves_as_a_dictionary_of_times_would(puts: list[tuple[int, int]]) -> None:
    agenda: Agenda[int] = Agenda()
    for key, time in puts:
        agenda.put(key, time)
    wanted = dict(puts)

    assert agenda.next_time() == min(wanted.values(), default=None)
    assert set(agenda.due(50)) == {key for key, time in wanted.items() if time <= 50}


def test_replaced_times_are_forgotten_in_the_long_run() -> None:
    agenda: Agenda[str] = Agenda()
    for time in range(10_000):
        agenda.put("a", float(time))

    assert len(agenda._heap) < 100


def test_what_is_dropped_does_not_become_due() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("a", 1.0)
    agenda.put("b", 2.0)
    agenda.drop("a")
    agenda.drop("never")
    assert agenda.next_time() == 2.0
    assert list(agenda.due(5.0)) == ["b"]
