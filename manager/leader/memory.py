"""The memory of the leader's planners between rounds. It belongs to one term: a new leader begins with an empty one."""

from __future__ import annotations

from dataclasses import dataclass, field

from manager.allocator import memory as allocator
from manager.orchestrator import memory as orchestrator
from manager.scheduler import memory as scheduler


@dataclass(slots=True)
class Memory:
    """The memories of all planners."""

    orchestrator: orchestrator.Memory = field(default_factory=orchestrator.Memory)
    allocator: allocator.Memory = field(default_factory=allocator.Memory)
    scheduler: scheduler.Memory = field(default_factory=scheduler.Memory)
