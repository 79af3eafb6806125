"""Objects that were stored, or sent, by a version that had texts in place of reasons."""

from __future__ import annotations

from typing import Any

import pytest

from api.codec import Value, decode, encode
from api.objects.decided import NodeDecision, ServiceDecision, Task, UpdateStatus
from api.objects.observed import TaskStatus
from api.reasons.reason import Code
from api.reasons.reason_text import task_error, task_message, text, update_message


@pytest.mark.parametrize(
    ("kind", "data", "field", "said"),
    [
        (Task, b'{"ID":"t","ServiceID":"s","Revision":1,"Message":"no suitable node"}', "reason", "no suitable node"),
        (ServiceDecision, b'{"Message":"no port is left"}', "reason", "no port is left"),
        (ServiceDecision, b'{"Waits":"waiting for service db","Held":true}', "waiting", "waiting for service db"),
        (NodeDecision, b'{"State":"down","Message":"it is silent"}', "reason", "it is silent"),
        (TaskStatus, b'{"State":"failed","Message":"failed","Error":"task: x"}', "reason", "task: x"),
        (TaskStatus, b'{"State":"preparing","Message":"getting image a:1"}', "reason", "getting image a:1"),
    ],
)  # fmt: skip
def test_an_old_text_is_read_as_a_reason_and_never_written_again(
    kind: type[Value], data: bytes, field: str, said: str
) -> None:
    read: Any = decode(kind, data)
    reason = getattr(read, field)
    assert (reason.code, text(reason)) == (Code.TEXT, said)
    assert b'"Message"' not in encode(read)
    assert b'"Waits"' not in encode(read)
    assert decode(kind, encode(read)) == read


@pytest.mark.parametrize(
    ("state", "message"), [("running", "started"), ("complete", "finished"), ("starting", "starting")]
)
def test_what_the_state_says_anyway_is_no_reason(state: str, message: str) -> None:
    status = decode(TaskStatus, f'{{"State":"{state}","Message":"{message}"}}'.encode())
    assert status.reason is None
    assert (task_message(status.state, None), task_error(status.state, None)) == (message, "")


def test_the_sentences_of_an_old_update_are_shown_as_they_were() -> None:
    old = decode(UpdateStatus, b'{"State":"paused","Message":"update paused due to bad luck","Reason":"bad luck"}')
    assert old.reason is not None
    assert old.reason.code is Code.TEXT
    assert text(old.reason) == "bad luck"
    assert update_message(old.state, old.reason) == "update paused due to bad luck"
    assert update_message("rollback_completed", old.reason) == "rollback completed"


def test_an_older_version_can_read_an_update_of_this_one() -> None:
    """An older version expects a text under "Reason", so the reason is written under another name."""
    new = decode(UpdateStatus, b'{"State":"paused","Why":{"Code":"no-progress","Facts":{"seconds":600}}}')
    assert new.reason is not None
    assert b'"Reason"' not in encode(new)
