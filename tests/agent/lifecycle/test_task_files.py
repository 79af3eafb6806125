"""Secrets and configs on a host: a task waits for them, and they lie on no disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.lifecycle import task_files
from agent.lifecycle.step import Action, Observed, Wanted, step
from agent.runtime.interface import PlannedFile, RuntimeFailure
from agent.tasks.checkpoint import Checkpoint
from api.service.container import ConfigReference, ContainerSpec, FileTarget, SecretReference
from api.wire.assignments import ConfigAssignment, SecretAssignment
from api.wire.session_messages import Assignments
from tests.agent.builders import a_spec, a_task
from tests.texts import message_of

WORD = SecretAssignment("s", "word", b"open sesame")
CONF = ConfigAssignment("c", "conf", b"port = 80")
SPEC = ContainerSpec(
    secrets=[SecretReference(FileTarget("pass", "1", "2", 0o400), "s", "word")],
    configs=[ConfigReference(FileTarget("/etc/x"), "c", "conf"), ConfigReference(FileTarget("y"), "c", "conf")],
)


def test_files_go_where_docker_puts_them() -> None:
    assert task_files.planned(SPEC, [WORD, CONF]) == (
        PlannedFile("/run/secrets/pass", b"open sesame", 1, 2, 0o400),
        PlannedFile("/etc/x", b"port = 80"),
        PlannedFile("/y", b"port = 80"),
    )
    assert "sesame" not in repr(task_files.planned(SPEC, [WORD, CONF])) + repr(Assignments(1, put=[WORD]))


def test_a_file_the_manager_does_not_have_rejects_the_task_with_its_word() -> None:
    with pytest.raises(RuntimeFailure, match="secret word was removed from the cluster"):
        task_files.planned(
            SPEC, [SecretAssignment("s", "word", trouble="secret word was removed from the cluster"), CONF]
        )


def test_a_task_waits_for_its_files_and_says_for_which() -> None:
    seen = Observed(image=object(), connected=True)  # type: ignore[arg-type]
    now = step(Wanted(a_task(), a_spec(), lacking=("config conf", "secret word")), seen)

    assert (now.action, message_of(now.status)) == (
        Action.IDLE,
        "waiting for config conf, secret word",
    )
    assert step(Wanted(a_task(), a_spec(), files=(WORD,)), seen).action is Action.QUEUE


@pytest.mark.parametrize("full", [True, False])
def test_secrets_are_never_written_to_the_disk(tmp_path: Path, full: bool) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.load()
    checkpoint.apply(Assignments(1, full=full, put=[a_task(), WORD, CONF]))
    kept: Any = checkpoint.assignments.files([("secret", "s"), ("config", "c"), ("secret", "none")])
    assert kept == (WORD, CONF)
    checkpoint.close()

    text = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"word" not in text
    again = Checkpoint(tmp_path)
    again.load()
    assert again.assignments.files([("secret", "s"), ("config", "c")]) == (CONF,)
    again.close()
