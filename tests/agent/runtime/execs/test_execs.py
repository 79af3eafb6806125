"""What is remembered of commands that people run in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.runtime.execs.execs import MOST_IDLE, ExecConfig, Execs
from api.errors import NotFound
from api.service.host_config import Hook


def test_execs_that_are_never_started_are_forgotten_when_there_are_too_many(tmp_path: Path) -> None:
    execs = Execs("runc", tmp_path, tmp_path, lambda _container, _hook: {})
    made = [execs.create("c1", ExecConfig(Hook(command=["true"]))).id for _ in range(MOST_IDLE + 10)]

    assert execs.get(made[-MOST_IDLE]).id == made[-MOST_IDLE]
    with pytest.raises(NotFound, match="No such exec instance"):
        execs.get(made[9])
