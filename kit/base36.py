"""Numbers in base 36, as Swarm writes ids and tokens: digits, then lowercase letters."""

from __future__ import annotations

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int, digits: int) -> str:
    """The number's lowest digits, so many of them: padded with zeros, or cut."""
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text
