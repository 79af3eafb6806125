"""Batches: commits split into transactions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from manager.store.batches import TransactionLimits, batches


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(1, 60))
def test_batches_keep_order_lose_nothing_and_stay_within_the_limits(sizes: list[int], most: int, room: int) -> None:
    runs = list(batches(sizes, lambda size: size, TransactionLimits(operations=most, size=room)))

    assert [size for run in runs for size in run] == sizes
    assert all(len(run) <= most and (sum(run) <= room or len(run) == 1) for run in runs)


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(1, 60))
def test_a_batch_ends_only_where_the_next_item_does_not_fit(sizes: list[int], most: int, room: int) -> None:
    runs = list(batches(sizes, lambda size: size, TransactionLimits(operations=most, size=room)))

    for run, following in pairwise(runs):
        assert len(run) == most or sum(run) + following[0] > room
