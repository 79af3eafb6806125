"""Doing what a plan says: networks, then services in the order of their dependencies, with the waits they ask for."""

from __future__ import annotations

import click

from cli.changes import Changes, Resolve, ServiceChange, plan
from cli.client import Client
from cli.convergence import Judge
from cli.errors import ApiError, Failed
from cli.views import Created, Network, NetworkCreated, Service
from cli.waiting import Screen, update_start, wait_converged
from compose.stack import NAMESPACE, Stack


def stack_filter(stack: str) -> dict[str, list[str]]:
    """The filter for everything of a stack."""
    return {"label": [f"{NAMESPACE}={stack}"]}


def compare(client: Client, stack: Stack, *, prune: bool, resolve: Resolve) -> Changes:
    """What is to be done. Raises Invalid."""
    services = client.get("/services", list[Service], filters=stack_filter(stack.name))
    networks = client.get("/networks", list[Network])
    return plan(stack, services, networks, prune=prune, resolve=resolve)


def check_detached(stack: Stack) -> None:
    """Raises Failed for conditions that somebody would have to wait for."""
    for item in stack.services:
        for wait in item.after:
            if wait.condition != "service_started":
                raise Failed(
                    f"{item.short_name} waits for {wait.service} ({wait.condition}), which needs this command to wait: "
                    "leave --detach out"
                )


class Deployment:
    """One run of `stack deploy`."""

    def __init__(self, client: Client, changes: Changes, *, detach: bool, timeout: float, quiet: bool) -> None:
        self.client = client
        self.changes = changes
        self.detach = detach
        self.timeout = timeout
        self.quiet = quiet
        self.judges: dict[str, Judge] = {}
        """Short name → judge, of the services dealt with so far."""

    def run(self) -> None:
        """Do everything; wait for all unless detached. Raises Failed, ApiError."""
        for spec in self.changes.networks:
            self.client.post("/networks/create", NetworkCreated, spec)
            self._say(f"Created network {spec.name}")
        for service in self.changes.prune:
            self.client.delete(f"/services/{service.id}")
            self._say(f"Removed service {service.spec.name}")
        for change in self.changes.services:
            if not self.detach and (change.current is None or change.is_changed):
                self._wait_for_dependencies(change)
            self._apply(change)
        if not self.detach:
            wait_converged(self.client, [*self.judges.values()], self.timeout, Screen(self.quiet))

    def _apply(self, change: ServiceChange) -> None:
        name = change.spec.name
        try:
            if change.current is None:
                created = self.client.post("/services/create", Created, change.spec)
                self.judges[change.service.short_name] = Judge(created.id)
                for warning in created.warnings or []:
                    click.echo(f"WARNING: {name}: {warning}", err=True)
                self._say(f"Created service {name}")
                return
            self.judges[change.service.short_name] = Judge(change.current.id, update_start(change.current))
            if change.is_changed:
                query = {"version": change.current.version.index}
                self.client.send(f"/services/{change.current.id}/update", change.spec, query)
                self._say(f"Updated service {name}")
        except ApiError as error:
            raise Failed(f"service {name}: {error.message}") from None

    def _wait_for_dependencies(self, change: ServiceChange) -> None:
        waits = [wait for wait in change.service.after if wait.condition != "service_started"]
        known = {wait.service: self.judges[wait.service] for wait in waits if wait.service in self.judges}
        if not known:
            return
        self._say(f"Service {change.spec.name} waits for {', '.join(known)}")
        optional = all(not wait.required for wait in waits)
        fresh = [Judge(judge.service_id, judge.before) for judge in known.values()]
        try:
            wait_converged(self.client, fresh, self.timeout, Screen(quiet=True))
        except Failed as error:
            if not optional:
                raise Failed(f"{change.spec.name} was not deployed: {error.message}") from None
            click.echo(f"WARNING: {change.spec.name} goes on without its dependency: {error.message}", err=True)

    def _say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line)
