"""Whether a program has a handler for a signal, by what the kernel tells of it."""

from __future__ import annotations

import signal

import pytest

from agent.runtime.containers.signal_delivery import is_caught

TERM = f"{1 << (signal.SIGTERM - 1):016x}"
NONE = f"{0:016x}"


def status(name: str = "python3", caught: str = NONE) -> str:
    return f"Name:\t{name}\nState:\tS (sleeping)\nSigBlk:\t{TERM}\nSigIgn:\t{TERM}\nSigCgt:\t{caught}\n"


@pytest.mark.parametrize(
    ("text", "number", "caught"),
    [
        (status(), signal.SIGTERM, False),
        (status(caught=TERM), signal.SIGTERM, True),
        (status(caught=TERM), signal.SIGUSR1, False),
        (status(caught=f"{1 << 36:016x}"), signal.SIGRTMIN + 3, True),
        (status(name="runc:[2:INIT]", caught=TERM), signal.SIGTERM, False),
    ],
)
def test_a_signal_is_caught_when_the_program_has_a_handler_for_it(text: str, number: int, caught: bool) -> None:
    assert is_caught(text, number) is caught
