"""Free replica numbers are found without a look at those in use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manager.orchestrator.slots.slot_numbers import SlotNumbers


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=40), st.integers(0, 5))
def test_the_lowest_numbers_not_in_use_are_free(steps: list[tuple[bool, int]], many: int) -> None:
    numbers, taken = SlotNumbers(), set[int]()
    for take, number in steps:
        (numbers.take if take else numbers.give)(number)
        (taken.add if take else taken.discard)(number)
        assert numbers.free(many) == [number for number in range(1, 20) if number not in taken][:many]
    assert numbers.taken == taken
