"""Ids of objects, and the form of names that are also DNS labels."""

from __future__ import annotations

import re
import secrets

# Of Docker's three styles for names this is the strictest, so that a name is also a DNS label.
SERVICE_NAME = re.compile(r"[a-zA-Z0-9](?:[-_A-Za-z0-9]*[A-Za-z0-9])?")
ID_LENGTH = 25
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """A fresh object id in Swarm's form: 25 digits of base 36."""
    number = secrets.randbits(128)
    digits = ""
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
