"""Groups of task states, as the API spells them."""

from __future__ import annotations

_UNASSIGNED = ("new", "pending")
"""No node has received the task."""
_ON_NODE = ("assigned", "accepted", "preparing", "ready", "starting", "running")
_WANTED = ("running", "ready", "complete")


def is_alive(state: str, desired: str) -> bool:
    """Whether the task may run, now or later. False for one that was given up before a node received it."""
    return state in _ON_NODE or (state in _UNASSIGNED and desired in _WANTED)
