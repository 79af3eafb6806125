"""Log output: splits Docker's multiplexed stream and puts the task's name before each line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from api.engine.services import ServiceAnswer
from api.engine.swarm import NodeAnswer
from api.engine.tasks import TaskAnswer
from cli.client import Client
from cli.command_errors import ApiError, BadArgument
from cli.flags.time_values import moment
from kit.stdcopy import frames

F = TypeVar("F", bound=Callable[..., Any])

_DETAIL = re.compile(r"([\w.\-]+)=([^,\s]*)")


def log_options(command: F) -> F:
    """The flags of every logs command."""
    for option in (
        click.option("-f", "--follow", is_flag=True, help="Go on as output comes."),
        click.option("--since", help='Only since then: a time ("2026-01-02T15:04:05Z") or a duration ("42m").'),
        click.option("-n", "--tail", default="all", help="Lines from the end."),
        click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written."),
    ):
        command = option(command)
    return command


def log_query(follow: bool, since: str | None, tail: str, timestamps: bool) -> dict[str, str | int | bool]:
    """The query of a logs request. Raises usage errors."""
    if tail != "all" and not tail.isdigit():
        raise BadArgument(f"--tail {tail!r} is neither a number nor all")
    query: dict[str, str | int | bool] = {"stdout": True, "stderr": True, "follow": follow, "timestamps": timestamps}
    query["tail"] = tail
    if since:
        query["since"] = moment("--since", since)
    return query


def copy_output(chunks: Iterable[bytes], prefix: Callable[[bytes], bytes] | None = None, raw: bool = False) -> None:
    """Write a stream to our own stdout and stderr. `prefix` rewrites each line."""
    parts = (("stdout", chunk) for chunk in chunks) if raw else frames(chunks)
    for stream, payload in parts:
        out = sys.stderr.buffer if stream == "stderr" else sys.stdout.buffer
        out.write(prefix(payload) if prefix else payload)
        out.flush()


def show_service_logs(
    client: Client,
    name: str,
    *,
    follow: bool,
    since: str | None,
    tail: str,
    timestamps: bool,
    raw: bool = False,
    no_resolve: bool = False,
    no_task_ids: bool = False,
    no_trunc: bool = False,
) -> None:
    """Print the output of the service or task of that name. Raises ApiError (404) when neither has."""
    query = log_query(follow, since, tail, timestamps) | {"details": not raw}
    path, tty = _find(client, name)
    names = _Names(client, resolve=not no_resolve, task_ids=not no_task_ids, truncate=not no_trunc)
    with client.stream("GET", f"{path}/logs", query) as chunks:
        copy_output(chunks, None if raw or tty else lambda line: names.named(line, timestamps), raw=tty)


def _find(client: Client, name: str) -> tuple[str, bool]:
    try:
        service = client.get(f"/services/{name}", ServiceAnswer)
        return f"/services/{service.id}", service.spec.task_template.container_spec.tty
    except ApiError as error:
        if not error.is_missing:
            raise
    try:
        task = client.get(f"/tasks/{name}", TaskAnswer)
    except ApiError as error:
        if error.is_missing:
            raise ApiError(404, f"there is no service or task {name!r}") from None
        raise
    return f"/tasks/{task.id}", task.spec.container_spec.tty


class _Names:
    """Turns the details before each line into "service.slot.task@node | "."""

    def __init__(self, client: Client, *, resolve: bool, task_ids: bool, truncate: bool) -> None:
        self.client = client
        self.resolve = resolve
        self.task_ids = task_ids
        self.truncate = truncate
        self._prefixes: dict[tuple[str, str], str] = {}
        self._width = 0

    def named(self, line: bytes, timestamps: bool) -> bytes:
        """The line with the task's name before it. The daemon sends [TIME ]DETAILS TEXT."""
        moment, rest = line.split(b" ", 1) if timestamps and b" " in line else (b"", line)
        details, _, text = rest.partition(b" ")
        found = dict(_DETAIL.findall(details.decode(errors="replace")))
        task, node = found.get("com.docker.swarm.task.id", ""), found.get("com.docker.swarm.node.id", "")
        if not task:
            return line
        if (task, node) not in self._prefixes:
            self._prefixes[task, node] = self._prefix(task, node)
            self._width = max(map(len, self._prefixes.values()))
        prefix = self._prefixes[task, node].ljust(self._width)
        return (moment + b" " if moment else b"") + f"{prefix} | ".encode() + text

    def _prefix(self, task_id: str, node_id: str) -> str:
        def short(text: str) -> str:
            return text[:12] if self.truncate else text

        if not self.resolve:
            return f"{short(task_id)}@{short(node_id)}"
        try:
            task = self.client.get(f"/tasks/{task_id}", TaskAnswer)
            service = self.client.get(f"/services/{task.service_id}", ServiceAnswer).spec.name
            node = self.client.get(f"/nodes/{node_id}", NodeAnswer).description.hostname or short(node_id)
        except ApiError:
            return f"{short(task_id)}@{short(node_id)}"
        name = f"{service}.{task.slot}" if task.slot else f"{service}.{short(node_id)}"
        return f"{name}.{short(task_id)}@{node}" if self.task_ids else f"{name}@{node}"
