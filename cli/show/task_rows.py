"""`node ps`, `service ps` and `stack ps`: the options and rows that these lists of tasks share."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from api.engine.services import ServiceAnswer
from api.engine.swarm import NodeAnswer
from api.engine.tasks import TaskAnswer
from cli.client import Client
from cli.show.formatting import ago, short_id
from cli.show.output import Row, filter_option, format_option, is_table, no_trunc_option, quiet_option, show_rows
from cli.timestamps import unix_time

COLUMNS = {
    "ID": "ID",
    "Name": "NAME",
    "Image": "IMAGE",
    "Node": "NODE",
    "DesiredState": "DESIRED STATE",
    "CurrentState": "CURRENT STATE",
    "Error": "ERROR",
    "Ports": "PORTS",
}
_ERROR_LENGTH = 32


@dataclass(frozen=True, slots=True)
class TaskList:
    """Which tasks to show, and how, as the options say."""

    filters: dict[str, list[str]]
    template: str | None
    truncate: bool
    quiet: bool
    resolve: bool

    def show(self, client: Client, tasks: Iterable[TaskAnswer]) -> None:
        """Print them."""
        rows = task_rows(client, tasks, resolve=self.resolve, truncate=self.truncate, is_table=is_table(self.template))
        show_rows(rows, COLUMNS, self.template, self.quiet)


def task_list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--filter, --format, --no-trunc, --quiet and --no-resolve, which become the command's one argument `wanted`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        filters: dict[str, list[str]],
        template: str | None,
        no_trunc: bool,
        quiet: bool,
        no_resolve: bool,
        **given: Any,
    ) -> Any:
        truncate = not no_trunc and not quiet
        return command(*args, wanted=TaskList(filters, template, truncate, quiet, not no_resolve), **given)

    no_resolve_option = click.option("--no-resolve", is_flag=True, help="Show ids in place of names.")
    return filter_option(format_option(no_trunc_option(quiet_option(no_resolve_option(wrapped)))))


def task_rows(
    client: Client, tasks: Iterable[TaskAnswer], *, resolve: bool = True, truncate: bool = True, is_table: bool = True
) -> list[Row]:
    """Rows, the tasks of a slot together, the newest first; in a table older ones stand indented behind it."""
    tasks = list(tasks)
    nodes: dict[str, str] = {}
    names: dict[str, str] = {}
    if resolve and tasks:
        nodes = {node.id: node.description.hostname or node.id for node in client.get("/nodes", list[NodeAnswer])}
        names = {service.id: service.spec.name for service in client.get("/services", list[ServiceAnswer])}
    now = time.time()  # noqa: TID251
    place = _order(names)
    rows: list[Row] = []
    previous = ""
    for task in sorted(tasks, key=lambda task: (*place(task), -unix_time(task.created_at))):
        name = f"{names.get(task.service_id, task.service_id)}.{task.slot or task.node_id or task.id}"
        shown = f" \\_ {name}" if is_table and name == previous else name
        previous = name
        rows.append(_row(task, shown, nodes.get(task.node_id, task.node_id), now, truncate))
    return rows


def _order(names: dict[str, str]) -> Callable[[TaskAnswer], tuple[str, int, str]]:
    return lambda task: (names.get(task.service_id, task.service_id), task.slot, "" if task.slot else task.node_id)


def _row(task: TaskAnswer, name: str, node: str, now: float, truncate: bool) -> Row:
    error = task.status.err
    if truncate and len(error) > _ERROR_LENGTH:
        error = error[: _ERROR_LENGTH - 1] + "…"
    image = task.spec.container_spec.image
    state = task.status.state.capitalize()
    when = ago(unix_time(task.status.timestamp), now).lower()
    return {
        "ID": short_id(task.id) if truncate else task.id,
        "Name": name,
        "Image": image.partition("@")[0] if truncate else image,
        "Node": node,
        "DesiredState": task.desired_state.capitalize(),
        "CurrentState": f"{state} {when}".strip(),
        "Error": f'"{error}"' if error else "",
        "Ports": ", ".join(
            f"*:{port.published_port}->{port.target_port}/{port.protocol}"
            for port in task.status.port_status.ports or []
        ),
    }
