"""The progress of services until they converge or fail. The managers judge; this file draws."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

import click
from msgspec import json
from msgspec.structs import replace

from api.defaults import VERDICT_PATIENCE
from api.engine.argosy import ServiceVerdictAnswer, VerdictState
from api.engine.tasks import TaskAnswer
from api.reasons.reason import Code
from cli.client import Client
from cli.client_streams import lines
from cli.command_errors import ApiError, ConnectionLost, Failed
from cli.flags.flag_values import seconds
from cli.show.formatting import table
from kit.durations import short_duration

PERIOD = 0.2
"""Seconds between two requests."""
_GIVEN_UP = (VerdictState.FAILED, VerdictState.STUCK)
"""States that end a wait with an error."""
TIMEOUT = 600.0
"""Seconds that a wait may take by default."""


class Seconds(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Docker's durations ("20s", "1m30s"), or plain seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds. Fails with a sentence."""
        try:
            return value if isinstance(value, float) else seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


timeout_option = click.option(
    "--timeout",
    type=Seconds(),
    default=TIMEOUT,
    show_default="10m",
    metavar="DURATION",
    help="Give up when it takes longer (20s, 1m30s, or plain seconds).",
)
detach_option = click.option(
    "-d",
    "--detach",
    type=bool,
    is_flag=False,
    flag_value="true",
    default=False,
    metavar="[=BOOL]",
    help="Do not wait until it runs.",
)


class Awaited(NamedTuple):
    """A service that a command waits for."""

    service_id: str
    version: int = 0
    """Its version before the command; 0 for a new one."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How a command waits, as its options say."""

    detach: bool
    timeout: float
    """Seconds until the wait is given up."""
    patience: float
    """Seconds a task may find no node before the wait is given up."""
    quiet: bool

    def until_converged(self, client: Client, *services: Awaited) -> None:
        """Wait until all have converged, unless detached. Raises Failed with the reasons of those that did not."""
        if not self.detach:
            wait_converged(client, services, self.timeout, self.patience, Screen(self.quiet))


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--detach, --timeout, --patience and --quiet, which become the command's one argument `wait`."""

    @functools.wraps(command)
    def wrapped(*args: Any, detach: bool, timeout: float, patience: float, quiet: bool, **given: Any) -> Any:
        return command(*args, wait=Wait(detach, timeout, patience, quiet), **given)

    patience = click.option(
        "--patience",
        type=Seconds(),
        default=VERDICT_PATIENCE,
        show_default="10s",
        metavar="DURATION",
        help="Give up when a task finds no node for so long.",
    )
    quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
    return detach_option(timeout_option(patience(quiet(wrapped))))


class Screen:
    """A table, redrawn in place on a terminal; elsewhere one line per change."""

    def __init__(self, quiet: bool = False, out: TextIO | None = None) -> None:
        self.quiet = quiet
        self.out = out or sys.stdout
        self.is_terminal = self.out.isatty()
        self._drawn = 0
        self._printed: dict[str, str] = {}

    def show(self, verdicts: Iterable[ServiceVerdictAnswer]) -> None:
        """Draw the present verdicts."""
        verdicts = list(verdicts)
        if self.quiet:
            return
        if self.is_terminal:
            self._redraw(verdicts)
        else:
            self._print_changes(verdicts)
        self.out.flush()

    def _redraw(self, verdicts: Sequence[ServiceVerdictAnswer]) -> None:
        import shutil

        width = shutil.get_terminal_size().columns
        rows = [(_name(v), f"{v.ready}/{v.wanted}", _words(v)) for v in verdicts]
        lines = [line[: width - 1] for line in table(("SERVICE", "READY", "STATE"), rows)]
        back = f"\x1b[{self._drawn}A" if self._drawn else ""
        self.out.write(back + "".join(f"\r\x1b[K{line}\n" for line in lines))
        self._drawn = len(lines)

    def _print_changes(self, verdicts: Iterable[ServiceVerdictAnswer]) -> None:
        for verdict in verdicts:
            line = f"{_name(verdict)}: {verdict.ready}/{verdict.wanted} {_words(verdict)}"
            if self._printed.get(verdict.service_id) != line:
                self._printed[verdict.service_id] = line
                self.out.write(line + "\n")


def _words(verdict: ServiceVerdictAnswer) -> str:
    if verdict.state is VerdictState.CONVERGED:
        return "converged"
    if verdict.state in _GIVEN_UP:
        return f"{verdict.state.value}: {verdict.message}"
    return verdict.message or "waiting"


def as_waited_for(verdict: ServiceVerdictAnswer, before: int) -> ServiceVerdictAnswer:
    """The verdict as a waiting command takes it; `before` is the service's version before the command.

    A degraded service that has all its tasks will not change by waiting. And a command that changed nothing has not
    failed because an earlier update was rolled back, when the revision in force has converged.
    """
    is_whole = verdict.ready >= verdict.wanted
    is_old = verdict.version.index <= before and [one.code for one in verdict.reasons] == [Code.UPDATE_FAILED]
    if is_whole and (verdict.state is VerdictState.DEGRADED or is_old):
        return replace(verdict, state=VerdictState.CONVERGED)
    return verdict


def wait_converged(
    client: Client,
    services: Sequence[Awaited],
    timeout: float,
    patience: float,
    screen: Screen,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until every service has converged, as the managers judge it.

    Raises Failed with the reasons of those that did not.
    """
    before = {one.service_id: one.version for one in services}
    verdicts: dict[str, ServiceVerdictAnswer] = {}
    end = clock() + timeout
    while before and clock() < end:
        for verdict in follow(client, [*before], patience, end - clock()):
            verdicts[verdict.service_id] = as_waited_for(verdict, before[verdict.service_id])
            if len(verdicts) < len(before):
                continue  # the stream begins with a line for every service
            shown = [verdicts[id] for id in before]
            screen.show(shown)
            if failed := [one for one in shown if one.state in _GIVEN_UP]:
                raise Failed("\n".join(f"{_name(one)} did not converge: {one.message}" for one in failed))
            if all(one.state is VerdictState.CONVERGED for one in shown):
                return
            if clock() >= end:
                break
        time.sleep(PERIOD)
    if before:
        raise Failed(_overdue(verdicts.values(), timeout))


def follow(
    client: Client, service_ids: Sequence[str], patience: float, seconds: float
) -> Iterator[ServiceVerdictAnswer]:
    """The verdicts on services: all at first, then each that has changed, until `seconds` have passed or the daemon
    ends the stream. Raises the client's errors."""
    filters = json.encode({"id": list(service_ids)}).decode()
    query: dict[str, str | int | bool] = {"stream": True, "patience": f"{patience:g}", "filters": filters}
    with suppress(ConnectionLost), client.stream("GET", "/argosy/v1/verdicts", query, seconds=seconds) as chunks:
        for line in lines(chunks):
            yield json.decode(line, type=ServiceVerdictAnswer)


def tasks_of(client: Client, filters: dict[str, list[str]]) -> list[TaskAnswer]:
    """Tasks by a filter; none when what the filter names was removed meanwhile (the daemon answers that with 404)."""
    try:
        return client.get("/tasks", list[TaskAnswer], filters=filters)
    except ApiError as error:
        if not error.is_missing:
            raise
        return []


def _overdue(verdicts: Iterable[ServiceVerdictAnswer], timeout: float) -> str:
    lagging = [
        f"{_name(one)} has {one.ready} of {one.wanted} tasks ready: {one.message or 'nothing happens'}"
        for one in verdicts
        if one.state is not VerdictState.CONVERGED
    ]
    return "\n".join([f"not converged within {short_duration(timeout)}; it goes on in the background", *lagging])


def _name(verdict: ServiceVerdictAnswer) -> str:
    return verdict.service_name or verdict.service_id
