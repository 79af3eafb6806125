"""Groups of task states, as the API spells them."""

from __future__ import annotations

_UNTOLD = ("new", "pending")
"""No node knows of the task."""
_TOLD = ("assigned", "accepted", "preparing", "ready", "starting", "running")
_WANTED = ("running", "ready", "complete")


def is_alive(state: str, desired: str) -> bool:
    """Whether something of the task may run, now or later; not of one that was given up before a node knew of it."""
    return state in _TOLD or (state in _UNTOLD and desired in _WANTED)
