"""Signals by name and number."""

from __future__ import annotations

import signal

import pytest

from agent.runtime.containers.signals import number
from agent.runtime.interface import RuntimeFailure


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", signal.SIGTERM), ("SIGKILL", 9), ("kill", 9), ("15", 15), ("064", 64),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3), ("rtmax-1", signal.SIGRTMAX - 1),
    ],
)  # fmt: skip
def test_signals_that_there_are(name: str, found: int) -> None:
    assert number(name) == found


@pytest.mark.parametrize(
    "name", ["SIGFOO", "-1", "0", "65", "9" * 5000, "²", "RTMIN+99", "RTMIN+9999", "SIG", "K\0", "a" * 9000]
)
def test_signals_that_there_are_not(name: str) -> None:
    with pytest.raises(RuntimeFailure, match="invalid signal") as error:
        number(name)
    assert len(str(error.value)) < 150
