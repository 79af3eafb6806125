"""Numbers in base 36, as Swarm writes ids and tokens: digits, then lowercase letters."""

from __future__ import annotations

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int, digits: int) -> str:
    """The lowest `digits` base-36 digits of a number, padded with zeros."""
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text
