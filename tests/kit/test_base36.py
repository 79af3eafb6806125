"""Numbers in base 36."""

from __future__ import annotations

from kit.base36 import base36


def test_digits_are_padded_and_cut() -> None:
    assert [base36(number, 3) for number in (0, 35, 36, 36**3 - 1, 36**3)] == ["000", "00z", "010", "zzz", "000"]
    assert int(base36(2**64, 25), 36) == 2**64
