"""A deployment carries a deploy plan out: secrets, configs, networks, services. Once all runs it removes the unused.

The cluster does not need services in order: the managers hold a service's tasks until its dependencies are ready. They
are sent in order so that a dependency's update arrives before the services that wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
import msgspec

from api.engine.argosy import HistoryAnswer
from api.engine.common import CreatedAnswer
from api.engine.networks import NetworkAnswer, NetworkCreatedAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer
from api.service.service_spec import ServiceSpec
from api.stored_file import ConfigSpec, SecretSpec
from cli.client import Client
from cli.command_errors import ApiError, Failed
from cli.deploy.docker_logins import login_headers
from cli.deploy.network_replacement import NetworkReplacement
from cli.show.service_progress import Awaited, Wait
from compose.deploy.deploy_plan import DeployPlan, DeploySnapshot, Resolve, ServiceChange, plan_deploy
from compose.deploy.plan_files import FILE_KINDS, FileKind
from compose.deploy.plan_networks import must_be_replaced
from compose.deploy.plan_ports import needs_name_or_port, ports_given_up
from compose.model.stack import NAMESPACE, Stack

_replace = msgspec.structs.replace


def stack_filter(stack: str) -> dict[str, list[str]]:
    """The filter for all objects of a stack."""
    return {"label": [f"{NAMESPACE}={stack}"]}


def compare(client: Client, stack: Stack, *, prune: bool, resolve: Resolve) -> tuple[DeployPlan, DeploySnapshot]:
    """The deploy plan, and the snapshot it is made from. Raises Invalid."""
    services = client.get("/services", list[ServiceAnswer], filters=stack_filter(stack.name))
    networks = client.get("/networks", list[NetworkAnswer])
    by_name = {service.spec.name: service for service in services}
    needs_all = must_be_replaced(stack, networks) or needs_name_or_port(
        (by_name.get(item.spec.name), item.spec) for item in stack.services
    )
    wants = {
        "secret": prune or stack.secrets or stack.external_secrets,
        "config": prune or stack.configs or stack.external_configs,
    }
    files = {kind: client.get(f"/{kind}s", list[StoredFileAnswer]) for kind in FILE_KINDS if wants[kind]}
    has_files = any(file.stack == stack.name for found in files.values() for file in found)
    snapshot = DeploySnapshot(
        services=services,
        networks=networks,
        files=files,
        all_services=client.get("/services", list[ServiceAnswer]) if needs_all else (),
        revisions=kept_revisions(client, services) if has_files else (),
    )
    return plan_deploy(stack, snapshot, prune=prune, resolve=resolve), snapshot


def kept_revisions(client: Client, services: Sequence[ServiceAnswer]) -> list[ServiceSpec]:
    """The specs to which a rollback may return."""
    specs = []
    for service in services:
        try:
            history = client.get(f"/argosy/v1/services/{service.id}/history", HistoryAnswer)
        except ApiError as error:
            if not error.is_missing:
                raise
        else:
            specs += [revision.spec for revision in history.revisions]
    return specs


class Deployment:
    """One run of `stack deploy`."""

    def __init__(
        self, client: Client, plan: DeployPlan, snapshot: DeploySnapshot, wait: Wait, with_logins: bool = False
    ) -> None:
        self.with_logins = with_logins
        """Whether the user's logins at the images' registries are sent."""
        self.client = client
        self.plan = plan
        self.wait = wait
        self.awaited: list[Awaited] = []
        self._changed_early: set[str] = set()
        """Ids of services that were updated before their turn, to free ports."""
        self._ids: dict[tuple[FileKind, str], str] = {
            (kind, file.spec.name): file.id for kind, files in snapshot.files.items() for file in files
        }

    def run(self) -> None:
        """Carry the plan out; wait for all services unless detached. Raises Failed, ApiError."""
        self._create_files()
        for service in self.plan.prune:
            self.client.delete(f"/services/{service.id}")
            self._say(f"Removed service {service.spec.name}")
        for change in self.plan.services:
            if change.current is not None and change.is_made_anew:
                self.client.delete(f"/services/{change.current.id}")
                self._say(f"Removed service {change.spec.name}")
        replacement = NetworkReplacement(self.client, self.plan, self.wait, self._say)
        replacement.take_down()
        for network in self.plan.networks:
            self.client.post("/networks/create", NetworkCreatedAnswer, network.spec)
            self._say(f"Created network {network.spec.name}")
        self._free_ports()
        for change in self.plan.services:
            self._apply(change)
        replacement.bring_back()
        self.wait.until_converged(self.client, *self.awaited)
        self._clean_up()

    def _create_files(self) -> None:
        for change in self.plan.files:
            file, kind = change.file, change.kind
            make = SecretSpec if kind == "secret" else ConfigSpec
            spec = make(name=file.name, labels=dict(file.labels), data=file.data)
            self._ids[kind, file.name] = self.client.post(f"/{kind}s/create", CreatedAnswer, spec).id
            self._say(f"Created {kind} {file.name}")

    def _free_ports(self) -> None:
        """Take ports from services that other services of the stack will get."""
        changes = self.plan.services
        pairs = [(None if change.is_made_anew else change.current, change.spec) for change in changes]
        for service, spec in ports_given_up(pairs):
            # its version is newer if it was stopped to replace its network
            now = self.client.get(f"/services/{service.id}", ServiceAnswer)
            freed = _replace(now.spec, endpoint_spec=spec.endpoint_spec)
            self.client.send(f"/services/{service.id}/update", freed, {"version": now.version.index})
            self._changed_early.add(service.id)

    def _apply(self, change: ServiceChange) -> None:
        name, current = change.spec.name, change.current
        try:
            if current is None or change.is_made_anew:
                created = self.client.post(
                    "/services/create", CreatedAnswer, with_ids(change.spec, self._ids), headers=self._login(change)
                )
                self.awaited.append(Awaited(created.id))
                for warning in created.warnings or []:
                    click.echo(f"WARNING: {name}: {warning}", err=True)
                self._say(f"Created service {name}")
                return
            self.awaited.append(Awaited(current.id, current.version.index))
            if change.is_changed:
                if (
                    change.reasons or current.id in self._changed_early
                ):  # its version is newer if it was stopped to replace its network
                    current = self.client.get(f"/services/{current.id}", ServiceAnswer)
                query = {"version": current.version.index}
                spec = with_ids(change.spec, self._ids)
                self.client.send(f"/services/{current.id}/update", spec, query, self._login(change))
                self._say(f"{'Updated' if change.fields else 'Restarted'} service {name}")
        except ApiError as error:
            raise Failed(f"service {name}: {error.message}") from None

    def _login(self, change: ServiceChange) -> dict[str, str]:
        return login_headers(change.spec.task_template.container_spec.image) if self.with_logins else {}

    def _clean_up(self) -> None:
        """Remove what nothing uses any more. Another client may have begun to use it, or have removed it first."""
        for network in self.plan.old_networks:
            self.client.delete(f"/networks/{network.id}")
            self._say(f"Removed network {network.name}")
        for kind, file in self.plan.old_files:
            try:
                self.client.delete(f"/{kind}s/{file.id}")
            except ApiError as error:
                if not error.is_missing:
                    click.echo(f"WARNING: {kind} {file.spec.name} was not removed: {error.message}", err=True)
            else:
                self._say(f"Removed {kind} {file.spec.name}")

    def _say(self, line: str) -> None:
        if not self.wait.quiet:
            click.echo(line)


def with_ids(spec: ServiceSpec, ids: Mapping[tuple[FileKind, str], str]) -> ServiceSpec:
    """The spec with the ids of the secrets and configs it names."""
    container = spec.task_template.container_spec
    if not container.secrets and not container.configs:
        return spec
    container = _replace(
        container,
        secrets=[_replace(s, secret_id=ids.get(("secret", s.secret_name), s.secret_id)) for s in container.secrets],
        configs=[_replace(c, config_id=ids.get(("config", c.config_name), c.config_id)) for c in container.configs],
    )
    return _replace(spec, task_template=_replace(spec.task_template, container_spec=container))
