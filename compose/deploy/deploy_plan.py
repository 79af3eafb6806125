"""A deploy plan: what a deploy will do, from a stack and a snapshot of the cluster. Pure.

`stack plan` prints it, `stack deploy` carries it out (cli/deploy/deployment.py). Deploying twice changes nothing: see
api/service/canonical.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer
from api.errors import Invalid
from api.service.canonical import comparable
from api.service.difference_text import difference_line
from api.service.equality import Difference, differences, task_fingerprint
from api.service.self_declared import secrets_warning
from api.service.service_spec import ServiceSpec
from compose.deploy.plan_files import FileChange, FileKind, missing_files, new_files, old_files, remaining_revisions
from compose.deploy.plan_networks import NetworkChange, network_changes
from compose.deploy.plan_ports import conflicts, ports_given_up
from compose.model.stack import IMAGE, Stack, StackService

Resolve = Literal["always", "changed", "never"]
_replace = msgspec.structs.replace
_PLACEMENT = "TaskTemplate.Placement.Constraints"


@dataclass(frozen=True, slots=True)
class DeploySnapshot:
    """What the cluster has, as far as the plan depends on it."""

    services: Sequence[ServiceAnswer] = ()
    """The stack's services."""
    networks: Sequence[NetworkAnswer] = ()
    """All networks of the cluster."""
    files: Mapping[FileKind, Sequence[StoredFileAnswer]] = field(default_factory=dict)
    """All secrets and configs of the cluster."""
    all_services: Sequence[ServiceAnswer] = ()
    """All services of the cluster; filled only when a network is replaced, or a service gets a new name or port."""
    revisions: Sequence[ServiceSpec] = ()
    """Stored revisions of the stack's services, to which a rollback may return; the newest of each service first."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What the deploy does with one service: create, update, replace, or nothing."""

    service: StackService
    spec: ServiceSpec
    """The spec to send, still without the ids of secrets and configs."""
    current: ServiceAnswer | None = None
    fields: tuple[Difference, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why its tasks are replaced, apart from changes of the spec itself."""
    replaces: bool = False
    """Whether its present tasks are replaced."""
    is_made_anew: bool = False
    """Whether the service is removed and created again, because an update cannot make this change."""

    @property
    def is_changed(self) -> bool:
        """Whether a request is sent for it."""
        return bool(self.current is None or self.fields or self.reasons)

    @property
    def verb(self) -> str:
        """What is done, as `stack plan` names it."""
        if self.current is None:
            return "create"
        if not self.is_changed:
            return "unchanged"
        if self.is_made_anew:
            return "replace"
        return "update" if self.fields else "restart"

    def lines(self) -> Iterator[str]:
        """The lines of `stack plan` for this service."""
        yield f"{self.verb} service {self.spec.name}"
        yield from (f"    {difference_line(field)}" for field in self.fields)
        yield from (f"    restart: {reason}" for reason in self.reasons)
        if self.verb == "update" and not self.reasons:
            yield f"    {self._effect()}"

    def _effect(self) -> str:
        if self.replaces:
            return "restart: what its tasks are made of changes"
        if any(field.path.startswith(_PLACEMENT) for field in self.fields):
            return "no task is restarted, but those on hosts that do not meet the constraints move"
        return "no task is restarted"


@dataclass(frozen=True, slots=True)
class DeployPlan:
    """Everything that a deploy does, in order."""

    networks: tuple[NetworkChange, ...] = ()
    """Networks to create or to replace."""
    files: tuple[FileChange, ...] = ()
    services: tuple[ServiceChange, ...] = ()
    prune: tuple[ServiceAnswer, ...] = ()
    old_networks: tuple[NetworkAnswer, ...] = ()
    old_files: tuple[tuple[FileKind, StoredFileAnswer], ...] = ()
    """Versions of secrets and configs that nothing uses any more."""

    @property
    def is_empty(self) -> bool:
        """Whether the deploy changes nothing."""
        rest = (self.networks, self.files, self.prune, self.old_networks, self.old_files)
        return not any(rest) and not any(change.is_changed for change in self.services)

    def warnings(self) -> list[str]:
        """Risks that the user should know before the deploy, one line each."""
        found = ((change.spec.name, secrets_warning(change.spec)) for change in self.services)
        return [f"{name}: {warning}" for name, warning in found if warning]

    def lines(self) -> list[str]:
        """The lines of `stack plan`."""
        return [
            *(line for network in self.networks for line in network.lines()),
            *(f"create {change.kind} {change.file.name}" for change in self.files),
            *(f"remove service {service.spec.name}" for service in self.prune),
            *(line for change in self.services for line in change.lines()),
            *(f"remove network {network.name}" for network in self.old_networks),
            *(f"remove {kind} {file.spec.name}" for kind, file in self.old_files),
        ]


def plan_deploy(
    stack: Stack, snapshot: DeploySnapshot, *, prune: bool = False, resolve: Resolve = "changed"
) -> DeployPlan:
    """The plan that makes the cluster run the stack. Raises Invalid with every conflict that prevents it."""
    networks, problems = network_changes(stack, snapshot.networks, snapshot.all_services)
    problems += missing_files(stack, snapshot.files)
    wanted = {item.spec.name for item in stack.services}
    gone = tuple(service for service in snapshot.services if prune and service.spec.name not in wanted)
    moving = {service.id for service in snapshot.services if prune or service.spec.name in wanted}
    others = (service for service in snapshot.all_services if service.id not in moving)
    problems += conflicts((item.spec for item in stack.services), others)
    if problems:
        raise Invalid("\n".join(problems))
    names = {network.id: network.name for network in snapshot.networks}
    services = _services(stack, snapshot, names, networks, resolve)
    kept_networks = {spec.name for spec in stack.networks}
    files = tuple(new_files(stack, snapshot.files))
    return DeployPlan(
        networks=networks,
        files=files,
        services=services,
        prune=gone,
        old_networks=tuple(
            network
            for network in snapshot.networks
            if prune and network.stack == stack.name and network.name not in kept_networks
        ),
        old_files=tuple(old_files(stack, snapshot.files, _in_use(snapshot, services, gone, networks), prune)),
    )


def _in_use(
    snapshot: DeploySnapshot,
    services: Sequence[ServiceChange],
    gone: Sequence[ServiceAnswer],
    networks: Sequence[NetworkChange],
) -> list[ServiceSpec]:
    """Specs that may use secrets and configs after the deploy: present, new, and revisions still stored by then."""
    past = {service.spec.name for service in gone} | {change.spec.name for change in services if change.is_made_anew}
    changed = {change.spec.name: change.spec for change in services if change.current and change.is_changed}
    updates = Counter(changed.keys())
    for user in (user for network in networks for user in network.users):
        updates[user.spec.name] += 1 if user.spec.name in changed else 2  # stopped, then started again: two updates
    updates.update(service.spec.name for service, _ in ports_given_up((c.current, c.spec) for c in services))
    return [
        *(change.spec for change in services),
        *(spec for spec in remaining_revisions(snapshot.revisions, updates, changed) if spec.name not in past),
        *(service.spec for service in snapshot.services if service.spec.name not in past),
    ]


def _services(
    stack: Stack,
    snapshot: DeploySnapshot,
    names: Mapping[str, str],
    networks: Sequence[NetworkChange],
    resolve: Resolve,
) -> tuple[ServiceChange, ...]:
    """One change per service, in the stack's order: dependencies come first."""
    current = {service.spec.name: service for service in snapshot.services}
    replaced = {change.spec.name for change in networks if change.current}
    restarted: set[str] = set()
    changes = []
    for item in stack.services:
        change = _service(item, current.get(item.spec.name), names, replaced, restarted, resolve)
        if change.replaces:
            restarted.add(item.spec.name)
        changes.append(change)
    return tuple(changes)


def _service(
    item: StackService,
    current: ServiceAnswer | None,
    names: Mapping[str, str],
    replaced: set[str],
    restarted: set[str],
    resolve: Resolve,
) -> ServiceChange:
    spec = item.spec
    if current is None:
        return ServiceChange(item, spec)
    old_task, task = current.spec.task_template, spec.task_template
    if current.spec.labels.get(IMAGE) == spec.labels.get(IMAGE) and resolve != "always":
        task = _replace(task, container_spec=_replace(task.container_spec, image=old_task.container_spec.image))
    task = _replace(task, force_update=old_task.force_update)
    spec = _replace(spec, task_template=task)
    old, new = comparable(current.spec, names), comparable(spec, names)
    if old.mode_kind is not new.mode_kind:
        reason = "a service's mode cannot be changed; it is removed and created, and its history is lost"
        return ServiceChange(item, item.spec, current, tuple(differences(old, new)), (reason,), True, is_made_anew=True)
    on = [target.target for target in old.task_template.networks if target.target in replaced]
    reasons = [f"its network {name} is replaced" for name in on]
    is_remade = task_fingerprint(old) != task_fingerprint(new)
    if not is_remade and not reasons:
        needs = [wait.service for wait in spec.depends_on if wait.restart and wait.service in restarted]
        reasons = [f"it depends on {name}, whose tasks are replaced" for name in needs]
        if reasons:
            spec = _replace(spec, task_template=_replace(task, force_update=task.force_update + 1))
    found = tuple(differences(old, new))
    return ServiceChange(item, spec, current, found, tuple(reasons), replaces=is_remade or bool(reasons))
