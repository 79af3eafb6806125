"""What a mode means, asked of it and of its service's spec."""

from __future__ import annotations

import pytest

from api.codec import shown
from api.errors import Invalid
from api.service.mode import EmptyMode, Mode, ModeKind, Replicated, ReplicatedJob
from api.service.mode_json import completions, kind_of
from api.service.service_spec import ServiceSpec

GLOBAL = Mode(global_=EmptyMode())
GLOBAL_JOB = Mode(global_job=EmptyMode())


@pytest.mark.parametrize(
    ("mode", "kind", "is_job", "is_global", "replicas", "concurrency"),
    [
        (Mode(), "replicated", False, False, 1, 1),
        (Mode(Replicated()), "replicated", False, False, 1, 1),
        (Mode(Replicated(0)), "replicated", False, False, 0, 1),
        (Mode(Replicated(7)), "replicated", False, False, 7, 1),
        (GLOBAL, "global", False, True, 1, 1),
        (GLOBAL_JOB, "global-job", True, True, 1, 1),
        (Mode(replicated_job=ReplicatedJob()), "replicated-job", True, False, 1, 1),
        (Mode(replicated_job=ReplicatedJob(3)), "replicated-job", True, False, 3, 3),
        (Mode(replicated_job=ReplicatedJob(3, 0)), "replicated-job", True, False, 0, 3),
        (Mode(replicated_job=ReplicatedJob(0, 5)), "replicated-job", True, False, 5, 1),
    ],
)
def test_what_a_mode_means(
    mode: Mode, kind: str, is_job: bool, is_global: bool, replicas: int, concurrency: int
) -> None:
    spec = ServiceSpec(mode=mode)

    assert (mode.kind, mode.is_job, mode.is_global) == (kind, is_job, is_global)
    assert (mode.kind.is_job, mode.kind.is_global) == (is_job, is_global)
    assert (mode.replicas, mode.concurrency) == (replicas, concurrency)
    assert (spec.mode_kind, spec.is_job, spec.is_global) == (kind, is_job, is_global)
    assert (spec.is_replicated, spec.is_replicated_job) == (kind == "replicated", kind == "replicated-job")
    assert (spec.replicas, spec.concurrency) == (replicas, concurrency)
    assert kind_of(shown(mode)) == kind


def test_a_mode_is_made_by_its_name() -> None:
    assert Mode.of("replicated", 3, 3) == Mode(Replicated(3))
    assert Mode.of("global", 3) == GLOBAL
    assert Mode.of("global-job") == GLOBAL_JOB
    assert Mode.of(ModeKind.REPLICATED_JOB, 6, 2) == Mode(replicated_job=ReplicatedJob(2, 6))


def test_a_number_is_changed_where_there_is_one() -> None:
    job = Mode(replicated_job=ReplicatedJob(2, 6))

    assert ServiceSpec(mode=Mode()).scaled(4).mode == Mode(Replicated(4))
    assert job.scaled(9) == Mode(replicated_job=ReplicatedJob(2, 9))
    assert ServiceSpec(mode=job).with_concurrency(3).mode == Mode(replicated_job=ReplicatedJob(3, 6))
    with pytest.raises(Invalid, match="one task on every node"):
        GLOBAL.scaled(2)
    with pytest.raises(Invalid, match="no replicated job"):
        Mode().with_concurrency(2)


def test_one_form_says_the_number() -> None:
    assert Mode().canonical() == Mode(Replicated()).canonical() == Mode(Replicated(1))
    assert [mode.canonical() for mode in (GLOBAL, Mode(Replicated(0)))] == [GLOBAL, Mode(Replicated(0))]
    assert Mode(replicated_job=ReplicatedJob()).explicit() == Mode(replicated_job=ReplicatedJob(1, 1))
    assert GLOBAL.explicit() == GLOBAL


def test_completions_are_read_from_json() -> None:
    assert completions({"ReplicatedJob": {"TotalCompletions": 4}}) == 4
    assert completions({"ReplicatedJob": {}}) == 1
    assert completions({"Global": {}}) is None
