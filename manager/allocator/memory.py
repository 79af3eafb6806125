"""What the allocator keeps between rounds: the address given last on each network.

It goes on from there, so that an address that was given back rests for as long as possible: caches, and connections of
its last holder, may still name it. A new leader goes on from the highest address that is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Memory:
    """The allocator's part of the leader's memory."""

    latest: dict[str, int] = field(default_factory=dict)
    """By network: an address as a number."""
