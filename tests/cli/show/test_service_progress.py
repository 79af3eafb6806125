"""Waiting for what the managers judge, and drawing it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from api.codec import encode
from api.engine.argosy import ServiceVerdictAnswer, VerdictState
from api.engine.common import VersionAnswer
from api.reasons.reason import Code, reason
from cli.client import Client
from cli.command_errors import Failed
from cli.show.service_progress import Awaited, Screen, wait_converged

CONVERGING, CONVERGED = VerdictState.CONVERGING, VerdictState.CONVERGED
FAILED, STUCK, DEGRADED = VerdictState.FAILED, VerdictState.STUCK, VerdictState.DEGRADED


def verdict(name: str, state: VerdictState, message: str = "", ready: int = 0, **more: Any) -> ServiceVerdictAnswer:
    """On a service of two tasks whose id is its name."""
    return ServiceVerdictAnswer(f"id-{name}", name, state, "", ready, 2, message, **more)


class Daemon:
    """A client whose daemon tells these verdicts, in streams that end."""

    def __init__(self, *streams: list[ServiceVerdictAnswer]) -> None:
        self._streams = iter(streams)

    @contextmanager
    def stream(self, *_: Any, seconds: float = 0.0, **__: Any) -> Iterator[Iterator[bytes]]:
        told = next(self._streams, None)
        if told is None:
            time.sleep(seconds)
        yield (encode(one) + b"\n" for one in told or [])


def wait(*streams: list[ServiceVerdictAnswer], of: tuple[Awaited, ...] = (Awaited("id-web"),)) -> list[str]:
    """What is printed while it is waited."""
    out = io.StringIO()
    wait_converged(cast(Client, Daemon(*streams)), of, 0.5, 10.0, Screen(out=out))
    return out.getvalue().splitlines()


def test_each_change_is_a_line_until_all_have_converged() -> None:
    both = (Awaited("id-web"), Awaited("id-db"))
    starts = [verdict("web", CONVERGING, "1 preparing"), verdict("db", CONVERGED, ready=2)]
    assert wait([*starts, verdict("web", CONVERGED, ready=2)], of=both) == [
        "web: 0/2 1 preparing", "db: 2/2 converged", "web: 2/2 converged",
    ]  # fmt: skip


@pytest.mark.parametrize("state", [FAILED, STUCK])
def test_what_will_not_converge_ends_the_wait_with_its_reason(state: VerdictState) -> None:
    with pytest.raises(Failed, match=r"^web did not converge: no room$"):
        wait([verdict("web", CONVERGING), verdict("web", state, "no room")])


def test_a_stream_that_ends_is_asked_for_again() -> None:
    assert wait([verdict("web", CONVERGING)], [verdict("web", CONVERGED, ready=2)])[-1] == "web: 2/2 converged"


def test_a_wait_ends_with_what_lacks() -> None:
    with pytest.raises(Failed) as failed:
        wait([verdict("web", CONVERGING, "2 preparing (getting image web:1)")])
    assert str(failed.value).splitlines() == [
        "not converged within 0.5s; it goes on in the background",
        "web has 0 of 2 tasks ready: 2 preparing (getting image web:1)",
    ]


def test_one_that_has_all_its_tasks_is_not_waited_for_although_it_is_degraded() -> None:
    assert wait([verdict("backup", DEGRADED, "run 3 failed", 2)], of=(Awaited("id-backup"),)) == [
        "backup: 2/2 converged"
    ]


def test_an_earlier_update_that_was_rolled_back_is_no_failure_of_a_command_that_changes_nothing() -> None:
    old = verdict(
        "web", FAILED, "the update failed and was rolled back", 2,
        reasons=[reason(Code.UPDATE_FAILED)], version=VersionAnswer(7),
    )  # fmt: skip
    assert wait([old], of=(Awaited("id-web", 7),)) == ["web: 2/2 converged"]
    with pytest.raises(Failed):
        wait([old], of=(Awaited("id-web", 6),))


def test_nothing_is_asked_when_nothing_is_waited_for() -> None:
    assert wait(of=()) == []
