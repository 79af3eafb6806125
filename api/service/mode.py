"""How many tasks a service has, and whether they are to end: replicated, global, and jobs of both kinds."""

from __future__ import annotations

import msgspec

from api.codec import Value


class EmptyMode(Value, frozen=True):
    """A mode without a parameter (`Global`, `GlobalJob`)."""


class Replicated(Value, frozen=True):
    """So many tasks, on any nodes."""

    replicas: int | None = None


class ReplicatedJob(Value, frozen=True):
    """So many completions, at most so many at once."""

    max_concurrent: int | None = None
    total_completions: int | None = None


class Mode(Value, frozen=True):
    """Exactly one of these is set; Replicated when none is."""

    replicated: Replicated | None = None
    # "global" is a keyword in Python
    global_: EmptyMode | None = msgspec.field(default=None, name="Global")
    replicated_job: ReplicatedJob | None = None
    global_job: EmptyMode | None = None
