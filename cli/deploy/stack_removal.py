"""`argosy stack rm`: removes all objects of a stack in order, and waits until they are gone."""

from __future__ import annotations

import time

import click

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer
from cli.client import Client
from cli.command_errors import ApiError, Failed
from cli.deploy.deployment import stack_filter
from cli.show.service_progress import PERIOD, tasks_of
from cli.states import is_alive
from compose.deploy.plan_files import FILE_KINDS
from kit.durations import short_duration


class StackRemoval:
    """The removal of one stack."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        filters = stack_filter(name)
        self.services = client.get("/services", list[ServiceAnswer], filters=filters)
        self.networks = client.get("/networks", list[NetworkAnswer], filters=filters)
        self.files = [(kind, file) for kind in FILE_KINDS for file in _files(client, kind, filters)]
        if not self.services and not self.networks and not self.files:
            raise Failed(f"there is no stack {name!r}")

    def run(self, detach: bool, timeout: float) -> None:
        """Remove, and wait until tasks and networks are gone. Raises Failed when that takes too long."""
        for service in sorted(self.services, key=lambda service: service.spec.name):
            self._remove("service", service.spec.name, f"/services/{service.id}")
        for kind, file in self.files:
            self._remove(kind, file.spec.name, f"/{kind}s/{file.id}")
        for network in self.networks:
            self._remove("network", network.name, f"/networks/{network.id}")
        if not detach:
            self._wait(timeout)

    def _remove(self, what: str, name: str, path: str) -> None:
        click.echo(f"Removing {what} {name}")
        try:
            self.client.delete(path)
        except ApiError as error:
            if not error.is_missing:
                raise

    def _wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while True:
            tasks, networks = self._tasks_left(), self._networks_left()
            if not tasks and not networks:
                return
            if time.monotonic() > end:
                raise Failed(
                    f"stack {self.name} is not gone after {short_duration(timeout)}: {tasks} tasks, {networks} "
                    "networks are left; what is left is removed in the background"
                )
            time.sleep(PERIOD)

    def _tasks_left(self) -> int:
        """Counted by service: a task has no label once its service's revisions are gone."""
        found = [task for service in self.services for task in tasks_of(self.client, {"service": [service.id]})]
        return sum(is_alive(task.status.state, task.desired_state) for task in found)

    def _networks_left(self) -> int:
        own = {network.id for network in self.networks}
        found = self.client.get("/networks", list[NetworkAnswer], filters=stack_filter(self.name))
        return sum(network.id in own for network in found)


def _files(client: Client, kind: str, filters: dict[str, list[str]]) -> list[StoredFileAnswer]:
    return client.get(f"/{kind}s", list[StoredFileAnswer], filters=filters)
