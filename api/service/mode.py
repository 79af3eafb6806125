"""How many tasks a service has, and whether they are to end: replicated, global, and jobs of both kinds.

A replicated service has a fixed number of tasks, a global one has one task on every node that fits, and the tasks of a
job end. Other modules ask the spec (`ServiceSpec.is_job`, `replicas`, …) and do not read the fields.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from api import defaults
from api.codec import Value
from api.errors import Invalid


class ModeKind(StrEnum):
    """The four modes, as the command line, compose files and filters call them."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    REPLICATED_JOB = "replicated-job"
    GLOBAL_JOB = "global-job"

    @property
    def is_job(self) -> bool:
        """Whether the tasks are to complete."""
        return self in (ModeKind.REPLICATED_JOB, ModeKind.GLOBAL_JOB)

    @property
    def is_global(self) -> bool:
        """Whether there is a task for each node that fits."""
        return self in (ModeKind.GLOBAL, ModeKind.GLOBAL_JOB)


class EmptyMode(Value, frozen=True):
    """A mode without a parameter (`Global`, `GlobalJob`)."""


class Replicated(Value, frozen=True):
    """A number of tasks, on any nodes."""

    replicas: int | None = None


class ReplicatedJob(Value, frozen=True):
    """A number of completions, with a limit on how many tasks run at once."""

    max_concurrent: int | None = None
    total_completions: int | None = None


class Mode(Value, frozen=True):
    """Exactly one of these is set; Replicated when none is."""

    replicated: Replicated | None = None
    # "global" is a keyword in Python
    global_: EmptyMode | None = msgspec.field(default=None, name="Global")
    replicated_job: ReplicatedJob | None = None
    global_job: EmptyMode | None = None

    @classmethod
    def of(cls, kind: str, replicas: int | None = None, concurrency: int | None = None) -> Mode:
        """A mode by its name (ModeKind). `replicas` is the number of tasks, or of a job's completions; only replicated
        jobs have a `concurrency`."""
        if kind == ModeKind.GLOBAL:
            return cls(global_=EmptyMode())
        if kind == ModeKind.GLOBAL_JOB:
            return cls(global_job=EmptyMode())
        if kind == ModeKind.REPLICATED_JOB:
            return cls(replicated_job=ReplicatedJob(concurrency, replicas))
        return cls(replicated=Replicated(replicas))

    @property
    def kind(self) -> ModeKind:
        """Which of the four it is."""
        if self.global_ is not None:
            return ModeKind.GLOBAL
        if self.replicated_job is not None:
            return ModeKind.REPLICATED_JOB
        return ModeKind.REPLICATED if self.global_job is None else ModeKind.GLOBAL_JOB

    @property
    def is_job(self) -> bool:
        """Whether the tasks are to complete."""
        return self.replicated_job is not None or self.global_job is not None

    @property
    def is_global(self) -> bool:
        """Whether the slots are nodes."""
        return self.global_ is not None or self.global_job is not None

    @property
    def replicas(self) -> int:
        """Slots of a replicated service or job; without meaning for a global one."""
        if self.replicated_job is not None:
            total = self.replicated_job.total_completions
            return total if total is not None else self.concurrency
        wanted = self.replicated.replicas if self.replicated is not None else None
        return wanted if wanted is not None else defaults.REPLICAS

    @property
    def concurrency(self) -> int:
        """Tasks of a replicated job that may be at work at once."""
        most = self.replicated_job.max_concurrent if self.replicated_job is not None else None
        return most if most else defaults.REPLICAS

    def scaled(self, replicas: int) -> Mode:
        """The same mode with another number of tasks (of a job: completions). Raises Invalid for a global one."""
        if self.is_global:
            raise Invalid("it is a global service: it has one task on every node, and cannot be scaled")
        if self.replicated_job is not None:
            return Mode(replicated_job=replace(self.replicated_job, total_completions=replicas))
        return Mode(replicated=Replicated(replicas))

    def with_concurrency(self, most: int) -> Mode:
        """The same mode with another limit on tasks at once. Raises Invalid unless it is a replicated job."""
        if self.replicated_job is None:
            raise Invalid("it is no replicated job")
        return Mode(replicated_job=replace(self.replicated_job, max_concurrent=most))

    def explicit(self) -> Mode:
        """With both numbers of a replicated job filled in; Docker's client expects them."""
        if self.replicated_job is None:
            return self
        return replace(self, replicated_job=ReplicatedJob(self.concurrency, self.replicas))

    def canonical(self) -> Mode:
        """With the number of tasks filled in."""
        if self == Mode() or self.replicated == Replicated():
            return replace(self, replicated=Replicated(defaults.REPLICAS))
        return self
