"""The output of `service explain` and `stack explain`: what does not run, why, and what to do."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence

import click

from api.engine.argosy import (
    ExplanationAnswer,
    ProblemAnswer,
    ServiceVerdictAnswer,
    StackVerdictAnswer,
    VerdictState,
)
from cli.client import Client
from cli.command_errors import Failed
from cli.show.formatting import span
from cli.timestamps import unix_time

_WIDTH = 116


def show(client: Client, names: Sequence[str], as_json: bool = False) -> None:
    """Print the explanations of services (by name or id)."""
    if as_json:
        import json

        found = [client.get_json(_path(name)) for name in names]
        click.echo(json.dumps(found, indent=4, ensure_ascii=False))
        return
    now = time.time()  # noqa: TID251
    for name in names:
        for line in lines(client.get(_path(name), ExplanationAnswer), now):
            click.echo(line)


def show_stack(client: Client, stack: str, names: Sequence[str], as_json: bool = False) -> None:
    """Print the stack's verdict, then the explanations of its services."""
    if not names:
        raise Failed(f"there is no stack {stack!r}")
    if not as_json:
        verdict = client.get(f"/argosy/v1/stacks/{stack}/verdict", StackVerdictAnswer)
        click.echo(f"stack {stack}: {verdict_text(verdict, time.time(), with_reasons=False)}")  # noqa: TID251
    show(client, names, as_json)


def lines(about: ExplanationAnswer, now: float) -> Iterator[str]:
    """A service's heading, and a paragraph for each problem."""
    yield f"{about.service_name} ({about.mode}): {about.summary}"
    if about.verdict is not None and about.verdict.state is not VerdictState.CONVERGED:
        yield from _wrapped(f"it is {verdict_text(about.verdict, now)}", "  ")
    for problem in about.problems:
        yield from _paragraph(problem, now)


def verdict_text(verdict: ServiceVerdictAnswer | StackVerdictAnswer, now: float, with_reasons: bool = True) -> str:
    """ "stuck for 3 minutes: 1 task found no node: …"; `now` in Unix seconds."""
    since = unix_time(verdict.since)
    when = f" for {span(now - since).lower()}" if since and since <= now else ""
    return f"{verdict.state.value}{when}{': ' + verdict.message if with_reasons and verdict.message else ''}"


def _paragraph(problem: ProblemAnswer, now: float) -> Iterator[str]:
    where = f"task {problem.slot}" if problem.scope == "task" else "service"
    node = f" on {problem.node}" if problem.node else ""
    since = unix_time(problem.since)
    when = f" for {span(now - since).lower()}" if since and since <= now else ""
    yield from _wrapped(f"{where}{node}: {problem.code}{when}: {problem.reason or problem.state}", "  ")
    if problem.advice:
        yield from _wrapped(f"→ {problem.advice}", "      ")
    retry = unix_time(problem.retry_at)
    if retry > now:
        yield from _wrapped(f"is tried again in {span(retry - now).lower()}", "      ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ") or [indent]


def _path(name: str) -> str:
    return f"/argosy/v1/services/{name}/explain"
