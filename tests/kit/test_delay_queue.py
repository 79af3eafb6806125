"""The delay queue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.delay_queue import DelayQueue


def test_keys_become_due_in_the_order_of_their_times() -> None:
    queue: DelayQueue[str] = DelayQueue()
    for key, time in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        queue.put(key, time)

    assert list(queue.due(2.0)) == ["a", "b"]
    assert queue.next_time() == 3.0
    assert list(queue.due(2.0)) == []


def test_a_newer_time_replaces_the_older_in_either_direction() -> None:
    queue: DelayQueue[str] = DelayQueue()
    queue.put("sooner", 9.0)
    queue.put("sooner", 1.0)
    queue.put("later", 1.0)
    queue.put("later", 9.0)

    assert list(queue.due(5.0)) == ["sooner"]
    assert list(queue.due(10.0)) == ["later"]
    assert queue.next_time() is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99))))
def test_it_behaves_as_a_dictionary_of_times_would(puts: list[tuple[int, int]]) -> None:
    queue: DelayQueue[int] = DelayQueue()
    for key, time in puts:
        queue.put(key, time)
    wanted = dict(puts)

    assert queue.next_time() == min(wanted.values(), default=None)
    assert set(queue.due(50)) == {key for key, time in wanted.items() if time <= 50}


def test_replaced_times_are_removed_eventually() -> None:
    queue: DelayQueue[str] = DelayQueue()
    for time in range(10_000):
        queue.put("a", float(time))

    assert len(queue._heap) < 100


def test_a_dropped_key_does_not_become_due() -> None:
    queue: DelayQueue[str] = DelayQueue()
    queue.put("a", 1.0)
    queue.put("b", 2.0)
    queue.drop("a")
    queue.drop("never")
    assert queue.next_time() == 2.0
    assert list(queue.due(5.0)) == ["b"]
