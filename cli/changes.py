"""What a deploy has to do: a pure comparison of a stack with what the cluster has of it.

`stack plan` prints it, `stack deploy` does it. Deploying twice changes nothing: see cli/normal.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from api.errors import Invalid
from api.specs import ServiceSpec
from cli.differences import Difference, differences
from cli.normal import essence, normal
from cli.stack_networks import NetworkChange, network_changes
from cli.views import File, Network, Service
from compose.stack import IMAGE, SHORT_NAME, Stack, StackFile, StackService

Resolve = Literal["always", "changed", "never"]
FileKind = Literal["secret", "config"]
FILE_KINDS: tuple[FileKind, FileKind] = ("secret", "config")
_replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class Present:
    """What the cluster has."""

    services: Sequence[Service] = ()
    """The stack's."""
    networks: Sequence[Network] = ()
    """All."""
    files: Mapping[FileKind, Sequence[File]] = field(default_factory=dict)
    """All secrets and configs."""
    everyone: Sequence[Service] = ()
    """All services; asked for only when a network has to be replaced."""
    kept: Sequence[ServiceSpec] = ()
    """The kept revisions of the stack's services, which a rollback may bring back."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One service: to create, to update, or to leave."""

    service: StackService
    spec: ServiceSpec
    """As it is to be sent, but for the ids of secrets and configs."""
    current: Service | None = None
    fields: tuple[Difference, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why its tasks are replaced, beside its own changes."""
    replaces: bool = False
    """Whether the tasks it has are replaced."""
    is_made_anew: bool = False
    """Whether the service has to be removed and created, because it cannot become what it is to be."""

    @property
    def is_changed(self) -> bool:
        """Whether anything is to be sent."""
        return bool(self.current is None or self.fields or self.reasons)

    @property
    def verb(self) -> str:
        """For people."""
        if self.current is None:
            return "create"
        if not self.is_changed:
            return "unchanged"
        if self.is_made_anew:
            return "replace"
        return "update" if self.fields else "restart"

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.verb} service {self.spec.name}"
        yield from (f"    {difference}" for difference in self.fields)
        yield from (f"    restart: {reason}" for reason in self.reasons)
        if self.verb == "update" and not self.reasons:
            yield "    restart: what its tasks are made of changes" if self.replaces else "    no task is restarted"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A secret or config to create."""

    kind: FileKind
    file: StackFile


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything a deploy does, in its order."""

    networks: tuple[NetworkChange, ...] = ()
    """To create, or to replace."""
    files: tuple[FileChange, ...] = ()
    services: tuple[ServiceChange, ...] = ()
    prune: tuple[Service, ...] = ()
    old_networks: tuple[Network, ...] = ()
    old_files: tuple[tuple[FileKind, File], ...] = ()
    """Versions that nothing uses any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is to be done."""
        rest = (self.networks, self.files, self.prune, self.old_networks, self.old_files)
        return not any(rest) and not any(change.is_changed for change in self.services)

    def lines(self) -> list[str]:
        """For people: `stack plan`."""
        return [
            *(line for network in self.networks for line in network.lines()),
            *(f"create {change.kind} {change.file.name}" for change in self.files),
            *(f"remove service {service.spec.name}" for service in self.prune),
            *(line for change in self.services for line in change.lines()),
            *(f"remove network {network.name}" for network in self.old_networks),
            *(f"remove {kind} {file.spec.name}" for kind, file in self.old_files),
        ]


def plan(stack: Stack, present: Present, *, prune: bool = False, resolve: Resolve = "changed") -> Changes:
    """Compare. Raises Invalid with all that stands in the way."""
    networks, problems = network_changes(stack, present.networks, present.everyone)
    problems += _missing_files(stack, present)
    if problems:
        raise Invalid("\n".join(problems))
    names = {network.id: network.name for network in present.networks}
    wanted = {item.spec.name for item in stack.services}
    gone = tuple(service for service in present.services if prune and service.spec.name not in wanted)
    services = _services(stack, present, names, networks, resolve)
    kept_networks = {spec.name for spec in stack.networks}
    files = tuple(_new_files(stack, present))
    # what falls out of a service's history later is collected by the next deploy that has something to do
    is_idle = not (prune or networks or files or any(change.is_changed for change in services))
    return Changes(
        networks=networks,
        files=files,
        services=services,
        prune=gone,
        old_networks=tuple(
            network
            for network in present.networks
            if prune and network.stack == stack.name and network.name not in kept_networks
        ),
        old_files=() if is_idle else tuple(_old_files(stack, present, services, gone, prune)),
    )


def _services(
    stack: Stack,
    present: Present,
    names: Mapping[str, str],
    networks: Sequence[NetworkChange],
    resolve: Resolve,
) -> tuple[ServiceChange, ...]:
    """In the stack's order, in which a service stands behind those it depends on."""
    current = {service.spec.name: service for service in present.services}
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
    current: Service | None,
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
    old, new = normal(current.spec, names), normal(spec, names)
    if _kind(old) != _kind(new):
        reason = "a service's mode cannot be changed; it is removed and created, and its history is lost"
        return ServiceChange(item, item.spec, current, tuple(differences(old, new)), (reason,), True, is_made_anew=True)
    on = [target.target for target in old.task_template.networks if target.target in replaced]
    reasons = [f"its network {name} is replaced" for name in on]
    is_remade = essence(old) != essence(new)
    if not is_remade and not reasons:
        needs = [wait.service for wait in spec.depends_on if wait.restart and wait.service in restarted]
        reasons = [f"it depends on {name}, whose tasks are replaced" for name in needs]
        if reasons:
            spec = _replace(spec, task_template=_replace(task, force_update=task.force_update + 1))
    found = tuple(differences(old, new))
    return ServiceChange(item, spec, current, found, tuple(reasons), replaces=is_remade or bool(reasons))


def _kind(spec: ServiceSpec) -> str:
    """Which of the modes it is of."""
    return next((name for name in spec.mode.__struct_fields__ if getattr(spec.mode, name) is not None), "")


# ── secrets and configs ──────────────────────────────────────────────────────────────────────────────────────────


def _of_stack(stack: Stack, kind: FileKind) -> tuple[tuple[StackFile, ...], tuple[str, ...]]:
    if kind == "secret":
        return stack.secrets, stack.external_secrets
    return stack.configs, stack.external_configs


def _missing_files(stack: Stack, present: Present) -> list[str]:
    return [
        f"{kind} {name} is external and does not exist; create it first"
        for kind in FILE_KINDS
        for name in _of_stack(stack, kind)[1]
        if name not in {file.spec.name for file in present.files.get(kind, ())}
    ]


def _new_files(stack: Stack, present: Present) -> Iterator[FileChange]:
    for kind in FILE_KINDS:
        there = {file.spec.name for file in present.files.get(kind, ())}
        yield from (FileChange(kind, file) for file in _of_stack(stack, kind)[0] if file.name not in there)


def _old_files(
    stack: Stack, present: Present, services: Sequence[ServiceChange], gone: Sequence[Service], prune: bool
) -> Iterator[tuple[FileKind, File]]:
    """Versions that neither a service nor one of its kept revisions uses; those the files have no more: if pruned."""
    past = {service.spec.name for service in gone} | {change.spec.name for change in services if change.is_made_anew}
    specs = [
        *(change.spec for change in services),
        *(spec for spec in present.kept if spec.name not in past),
        *(service.spec for service in present.services if service.spec.name not in past),
    ]
    for kind in FILE_KINDS:
        own = {file.short_name for file in _of_stack(stack, kind)[0]}
        used = {name for spec in specs for name in used_files(spec, kind)} | {f.name for f in _of_stack(stack, kind)[0]}
        for file in present.files.get(kind, ()):
            short = file.spec.labels.get(SHORT_NAME, "")
            if file.stack == stack.name and short and file.spec.name not in used and (prune or short in own):
                yield kind, file


def used_files(spec: ServiceSpec, kind: FileKind) -> Iterator[str]:
    """Names of the secrets or configs a service refers to."""
    container = spec.task_template.container_spec
    if kind == "secret":
        yield from (reference.secret_name for reference in container.secrets)
    else:
        yield from (reference.config_name for reference in container.configs)
