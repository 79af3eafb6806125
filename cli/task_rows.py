"""The rows of `node ps`, `service ps` and `stack ps`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from cli.client import Client
from cli.output import Row
from cli.text import ago, short_id, unix_time
from cli.views import Node, Service, Task

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


def task_rows(client: Client, tasks: Iterable[Task], *, resolve: bool = True, truncate: bool = True) -> list[Row]:
    """Rows, the tasks of a slot together, the newest first; older ones stand indented behind it."""
    tasks = list(tasks)
    nodes = (
        {n.id: n.description.hostname or n.id for n in client.get("/nodes", list[Node])} if resolve and tasks else {}
    )
    names = {s.id: s.spec.name for s in client.get("/services", list[Service])} if resolve and tasks else {}
    now = time.time()  # noqa: TID251
    place = _order(names)
    rows: list[Row] = []
    previous = ""
    for task in sorted(tasks, key=lambda task: (*place(task), -unix_time(task.created_at))):
        name = f"{names.get(task.service_id, task.service_id)}.{task.slot or task.node_id or task.id}"
        shown = f" \\_ {name}" if name == previous else name
        previous = name
        rows.append(_row(task, shown, nodes.get(task.node_id, task.node_id), now, truncate))
    return rows


def _order(names: dict[str, str]) -> Callable[[Task], tuple[str, int, str]]:
    return lambda task: (names.get(task.service_id, task.service_id), task.slot, "" if task.slot else task.node_id)


def _row(task: Task, name: str, node: str, now: float, truncate: bool) -> Row:
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
