"""The fuzz at a daemon borrows the attackers' fortress."""

from __future__ import annotations

from tests.attacks.siege import fortress

__all__ = ["fortress"]
