"""Watch services until they have converged or failed, and show how far they are."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from cli.client import Client
from cli.command_errors import ApiError, Failed
from cli.flags.flag_values import seconds
from cli.show.convergence import PATIENCE, Judge, Verdict
from cli.show.formatting import span_short, table
from cli.views import Service, Task

PERIOD = 0.2
"""Seconds between two looks."""
TIMEOUT = 600.0
"""Seconds of progress deadline, if not said."""


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


@dataclass(frozen=True, slots=True)
class Wait:
    """How a command waits, as its options say."""

    detach: bool
    timeout: float
    """Seconds until the wait is given up."""
    patience: float
    """Seconds a task may find no node before the wait is given up."""
    quiet: bool

    def until_converged(self, client: Client, *judges: Judge) -> None:
        """Until all have converged, unless detached. Raises Failed with the reasons of those that did not."""
        if not self.detach:
            for judge in judges:
                judge.patience = self.patience
            wait_converged(client, judges, self.timeout, Screen(self.quiet))


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--detach, --timeout, --patience and --quiet, which become the command's one argument `wait`."""

    @functools.wraps(command)
    def wrapped(*args: Any, detach: bool, timeout: float, patience: float, quiet: bool, **given: Any) -> Any:
        return command(*args, wait=Wait(detach, timeout, patience, quiet), **given)

    patience = click.option(
        "--patience",
        type=Seconds(),
        default=PATIENCE,
        show_default="10s",
        metavar="DURATION",
        help="Give up when a task finds no node for so long.",
    )
    quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
    return detach_option(timeout_option(patience(quiet(wrapped))))


class Screen:
    """A table that is drawn again in place on a terminal; elsewhere a line whenever something changed."""

    def __init__(self, quiet: bool = False, out: TextIO | None = None) -> None:
        self.quiet = quiet
        self.out = out or sys.stdout
        self.is_terminal = self.out.isatty()
        self._drawn = 0
        self._told: dict[str, str] = {}

    def show(self, verdicts: Iterable[Verdict]) -> None:
        """Draw the present state."""
        verdicts = list(verdicts)
        if self.quiet:
            return
        if self.is_terminal:
            self._redraw(verdicts)
        else:
            self._tell(verdicts)
        self.out.flush()

    def _redraw(self, verdicts: Sequence[Verdict]) -> None:
        import shutil

        width = shutil.get_terminal_size().columns
        rows = [(v.name, f"{v.ready}/{v.wanted}", _words(v)) for v in verdicts]
        lines = [line[: width - 1] for line in table(("SERVICE", "READY", "STATE"), rows)]
        back = f"\x1b[{self._drawn}A" if self._drawn else ""
        self.out.write(back + "".join(f"\r\x1b[K{line}\n" for line in lines))
        self._drawn = len(lines)

    def _tell(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            line = f"{verdict.name}: {verdict.ready}/{verdict.wanted} {_words(verdict)}"
            if self._told.get(verdict.name) != line:
                self._told[verdict.name] = line
                self.out.write(line + "\n")


def _words(verdict: Verdict) -> str:
    if verdict.state == "converged":
        return "converged"
    if verdict.state == "failed":
        return f"failed: {verdict.detail}"
    return verdict.detail or "waiting"


def update_start(service: Service) -> str:
    """When the service's last update began: what comes later is a new one."""
    return service.update_status.started_at if service.update_status else ""


def wait_converged(
    client: Client,
    judges: Sequence[Judge],
    timeout: float,
    screen: Screen,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Until every service has converged. Raises Failed with the reasons of those that did not."""
    start = clock()
    for judge in judges:
        judge.started = start
    verdicts: dict[str, Verdict] = {}
    while judges:
        waiting = [judge for judge in judges if _is_open(verdicts.get(judge.service_id))]
        verdicts |= _look(client, waiting, clock())
        screen.show(verdicts.values())
        failed = [verdict for verdict in verdicts.values() if verdict.state == "failed"]
        if failed:
            raise Failed("\n".join(f"{v.name} did not converge: {v.detail}" for v in failed))
        if all(not _is_open(verdict) for verdict in verdicts.values()):
            return
        if clock() - start > timeout:
            raise Failed(_overdue(verdicts.values(), timeout))
        time.sleep(PERIOD)


def _is_open(verdict: Verdict | None) -> bool:
    return verdict is None or verdict.state == "waiting"


def _look(client: Client, judges: Sequence[Judge], now: float) -> dict[str, Verdict]:
    ids = [judge.service_id for judge in judges]
    services = {service.id: service for service in client.get("/services", list[Service], filters={"id": ids})}
    # asked for after the services, so that a revision seen above has its tasks seen here
    present = {"service": [*services], "_up-to-date": ["true"]}
    tasks = tasks_of(client, present) if services else []
    verdicts: dict[str, Verdict] = {}
    for judge in judges:
        service = services.get(judge.service_id)
        if service is None:
            verdicts[judge.service_id] = Verdict(judge.service_id, "failed", 0, 0, "the service was removed meanwhile")
        else:
            own = [task for task in tasks if task.service_id == service.id]
            verdicts[judge.service_id] = judge.look(service, own, now)
    return verdicts


def tasks_of(client: Client, filters: dict[str, list[str]]) -> list[Task]:
    """Tasks by a filter; none when what the filter names was removed meanwhile (the daemon answers that with 404)."""
    try:
        return client.get("/tasks", list[Task], filters=filters)
    except ApiError as error:
        if not error.is_missing:
            raise
        return []


def _overdue(verdicts: Iterable[Verdict], timeout: float) -> str:
    late = [v for v in verdicts if v.state == "waiting"]
    told = "\n".join(f"{v.name} has {v.ready} of {v.wanted} tasks ready: {_lack(v)}" for v in late)
    return f"not converged within {span_short(timeout)}; it goes on in the background\n{told}"


def _lack(verdict: Verdict) -> str:
    detail = verdict.detail or "nothing happens"
    return f"{detail} ({verdict.said})" if verdict.said else detail
