"""The allocator's memory between rounds: the last address given out on each network.

The next search starts there, so that freed addresses are reused as late as possible: caches and connections may still
refer to the last holder. A new leader starts at the highest address that is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Memory:
    """The allocator's part of the leader's memory."""

    latest: dict[str, int] = field(default_factory=dict)
    """By network: the last address given out, as an integer."""
