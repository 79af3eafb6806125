"""Reasons as values and as text."""

from __future__ import annotations

import pytest

from api.codec import decode, encode
from api.reasons.reason import Code, Reason, clipped, reason
from api.reasons.reason_text import _TEXTS, task_error, task_message, text, update_message
from api.reasons.remedies import _REMEDIES, remedy
from api.states import TaskState

NO_NODE = reason(
    Code.NO_SUITABLE_NODE,
    reason(Code.INSUFFICIENT_RESOURCES, nodes=3),
    reason(Code.NODE_UNAVAILABLE, nodes=1),
)


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_text_and_survives_without_its_facts(code: Code) -> None:
    assert code in _TEXTS
    assert isinstance(text(Reason(code)), str)
    assert isinstance(remedy(Reason(code)), str)


@pytest.mark.parametrize("code", Code)
def test_facts_of_another_kind_are_shown_and_never_an_error(code: Code) -> None:
    names = ("nodes", "seconds", "restarts", "times", "tasks", "exit_code", "minutes", "most", "failures", "text")
    facts: dict[str, str | int | float] = dict.fromkeys(names, "{x!r:d} %s {0}")
    assert isinstance(text(Reason(code, facts)), str)
    remedy(Reason(code, facts))


def test_the_scheduler_s_words_are_swarmkit_s() -> None:
    assert text(NO_NODE) == ("no suitable node (insufficient resources on 3 nodes; 1 node not available for new tasks)")


def test_a_reason_is_stored_and_read_as_it_was() -> None:
    assert decode(Reason, encode(NO_NODE)) == NO_NODE
    assert encode(NO_NODE).startswith(b'{"Code":"no-suitable-node"')


def test_a_newer_version_s_code_is_shown_with_its_facts() -> None:
    seen = decode(Reason, b'{"Code":"no-room-on-the-moon","Facts":{"crater":"Tycho"}}')
    assert seen.code is Code.UNKNOWN
    assert text(seen) == "a reason that this version does not know (crater Tycho)"
    assert text(decode(Reason, b'{"Code":"x","Facts":{"text":"no air"}}')) == "no air"


def test_docker_s_message_says_what_a_task_does_and_its_error_why_it_ended() -> None:
    failed = reason(Code.NON_ZERO_EXIT, exit_code=3)
    assert (task_message(TaskState.FAILED, failed), task_error(TaskState.FAILED, failed)) == (
        "failed", "task: non-zero exit (3)",
    )  # fmt: skip
    getting = reason(Code.GETTING_IMAGE, image="demo:1")
    assert (task_message(TaskState.PREPARING, getting), task_error(TaskState.PREPARING, getting)) == (
        "getting image demo:1", "",
    )  # fmt: skip
    assert task_message(TaskState.RUNNING, None) == "started"


@pytest.mark.parametrize(
    ("state", "why", "message"),
    [
        ("updating", None, "update in progress"),
        ("completed", None, "update completed"),
        ("rollback_started", None, "manually requested rollback"),
        ("paused", reason(Code.TASK_ENDED_EARLY, reason(Code.NON_ZERO_EXIT, exit_code=1), task="t1"),
         "update paused due to failure or early termination of task t1: task: non-zero exit (1)"),
        ("rollback_started", reason(Code.TASK_ENDED_EARLY, task="t1"),
         "update rolled back due to failure or early termination of task t1"),
        ("rollback_paused", reason(Code.NO_PROGRESS, seconds=600.0), "rollback paused: no progress for 600 seconds"),
        ("rollback_completed", reason(Code.NO_PROGRESS, seconds=600.0), "rollback completed"),
    ],
)  # fmt: skip
def test_the_message_of_an_update(state: str, why: Reason | None, message: str) -> None:
    assert update_message(state, why) == message


def test_long_texts_are_clipped_however_deep() -> None:
    long = reason(Code.GETTING_IMAGE, reason(Code.IMAGE_UNAVAILABLE, text="x" * 100), image="demo")
    (cause,) = clipped(long, 10).because
    assert cause.facts["text"] == "x" * 9 + "…"


def test_a_remedy_names_what_is_known() -> None:
    assert remedy(reason(Code.INSUFFICIENT_RESOURCES, nodes=1, reserved="2 CPUs")) == (
        "reserve less than 2 CPUs, stop something, or add a node: `argosy node ls`"
    )
    assert remedy(reason(Code.NO_SUITABLE_NODE)) == "wait a moment"
    assert set(_REMEDIES) <= set(Code)
