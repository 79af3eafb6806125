"""The runs of a scheduled job: when the next one is due, and the outcomes of earlier ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

from api.engine.argosy import RunAnswer, RunsAnswer
from api.service.service_spec import ServiceSpec
from cli.client import Client
from cli.show.formatting import ago, span, table
from cli.timestamps import unix_time

_HEADS = ("RUN", "DUE", "STARTED", "TOOK", "OUTCOME", "REVISION")


def is_scheduled(spec: ServiceSpec) -> bool:
    """Whether it is a job that runs on a schedule, not when it is deployed. Raises Invalid for wrong labels."""
    return spec.job_schedule() is not None


def runs_of(client: Client, name: str) -> RunsAnswer:
    """A service's runs. Raises the client's errors."""
    return client.get(f"/argosy/v1/services/{name}/runs", RunsAnswer)


def next_run(about: RunsAnswer, now: float) -> str:
    """When the next run is due, as a sentence; `now` in Unix seconds."""
    if about.schedule is None:
        return "it has no schedule"
    if not about.next_at:
        return "no run is due: its schedule is suspended, or names no time that comes"
    at = unix_time(about.next_at)
    return f"the next run is due at {_moment(about.next_at)} (in {span(max(0.0, at - now)).lower()})"


def next_run_now(client: Client, name: str) -> str:
    """The same sentence, from the daemon's present answer."""
    return next_run(runs_of(client, name), time.time())  # noqa: TID251


def run_lines(about: RunsAnswer, now: float) -> Iterator[str]:
    """A table of the stored runs, newest first, and when the next is due."""
    rows = [
        (
            str(run.number or ""),
            _moment(run.due_at),
            ago(unix_time(run.started_at), now) if run.started_at else "",
            _took(run, now),
            run.outcome,
            str(run.revision or ""),
        )
        for run in about.runs
    ]
    if rows:
        yield from table(_HEADS, rows)
    yield next_run(about, now)


def _took(run: RunAnswer, now: float) -> str:
    if not run.started_at:
        return ""
    return span(max(0.0, (unix_time(run.ended_at) if run.ended_at else now) - unix_time(run.started_at))).lower()


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC" if text else ""
