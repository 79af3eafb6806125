"""Ids of objects, and the form of names that are also DNS labels."""

from __future__ import annotations

import re
import secrets

from kit.base36 import base36

# Of Docker's three styles for names this is the strictest, so that a name is also a DNS label.
SERVICE_NAME = re.compile(r"[a-zA-Z0-9](?:[-_A-Za-z0-9]*[A-Za-z0-9])?")
ID_LENGTH = 25


def new_id() -> str:
    """A fresh object id in Swarm's form: 25 digits of base 36."""
    return base36(secrets.randbits(128), ID_LENGTH)
