"""The progress of a drain: done when no task runs on the node and its services run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from api.engine.services import ServiceAnswer
from api.engine.tasks import TaskAnswer
from cli.client import Client
from cli.command_errors import Failed
from cli.show.service_progress import PERIOD, tasks_of
from cli.states import is_alive
from kit.durations import short_duration


@dataclass(frozen=True, slots=True)
class DrainProgress:
    """How far a drain has come."""

    left: int
    """Tasks that still run on the node."""
    lacking: tuple[str, ...] = ()
    """Services that do not have all their tasks yet, with the reason."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self.left and not self.lacking

    def __str__(self) -> str:
        parts = [f"{self.left} task{'' if self.left == 1 else 's'} still on it"] if self.left else []
        return "; ".join([*parts, *self.lacking]) or "done"


def progress(
    on_node: Iterable[TaskAnswer], services: Iterable[ServiceAnswer], tasks: Sequence[TaskAnswer]
) -> DrainProgress:
    """The progress. `services` are those that had tasks on the node, with their status; `tasks` are all of theirs."""
    left = sum(_is_alive(task) for task in on_node)
    lacking = []
    for service in services:
        status = service.service_status
        if status is None or status.running_tasks >= status.desired_tasks:
            continue
        why = next((t.status.err for t in tasks if t.service_id == service.id and _waits(t)), "")
        text = f"{service.spec.name} has {status.running_tasks} of {status.desired_tasks} tasks running"
        lacking.append(f"{text} ({why})" if why else text)
    return DrainProgress(left, tuple(lacking))


def _is_alive(task: TaskAnswer) -> bool:
    return is_alive(task.status.state, task.desired_state)


def _waits(task: TaskAnswer) -> bool:
    return task.status.state in ("new", "pending") and bool(task.status.err)


class Drain:
    """One node's drain. Create it before the drain begins: it records the services that have tasks there."""

    def __init__(self, client: Client, node_id: str, name: str) -> None:
        self.client = client
        self.node_id = node_id
        self.name = name
        self.service_ids = sorted({task.service_id for task in self._tasks() if _is_alive(task)})

    def wait(self, timeout: float, quiet: bool = False) -> None:
        """Wait until it is done. Raises Failed with what is left when it takes longer than `timeout` seconds."""
        end, printed = time.monotonic() + timeout, ""
        while not (now := self._progress()).is_done:
            if not quiet and str(now) != printed:
                printed = str(now)
                click.echo(f"{self.name}: {printed}")
            if time.monotonic() > end:
                raise Failed(f"node {self.name} is not drained after {short_duration(timeout)}: {now}")
            time.sleep(PERIOD)
        if not quiet:
            click.echo(f"{self.name}: drained")

    def _progress(self) -> DrainProgress:
        services, tasks = [], []
        if self.service_ids:
            services = self.client.get("/services", list[ServiceAnswer], {"status": True}, {"id": self.service_ids})
        for service in services:  # one by one, because any may be removed meanwhile
            tasks += tasks_of(self.client, {"service": [service.id]})
        return progress(self._tasks(), services, tasks)

    def _tasks(self) -> list[TaskAnswer]:
        return tasks_of(self.client, {"node": [self.node_id]})
