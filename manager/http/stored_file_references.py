"""References of services to secrets and configs: names resolved to ids, targets checked, users found. Pure.

Rules and texts: swarmkit manager/controlapi/service.go (checkSecretExistence, validateSecretRefsSpec, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from api.errors import Invalid
from api.objects.kinds import CONFIG, REVISION, SECRET, Kind, revision_id
from api.objects.wanted import Config, Secret
from api.service.container import ConfigReference, ContainerSpec, FileTarget, SecretReference
from api.service.service_spec import ServiceSpec
from api.stored_file_versions import base_of
from manager.store.lookup import file_named
from manager.store.state import State

replace = msgspec.structs.replace


def with_ids(state: State, spec: ServiceSpec) -> ServiceSpec:
    """The spec with each reference complete: id, name and target; by name, as docker sorts them. Raises Invalid."""
    container = spec.task_template.container_spec
    if not container.secrets and not container.configs:
        return spec
    secrets = [_secret(state, reference) for reference in container.secrets]
    configs = [_config(state, reference) for reference in container.configs]
    _check_targets("secret", [(r.secret_name, r.file) for r in secrets])
    _check_targets("config", [(r.config_name, r.file) for r in configs])
    container = replace(
        container,
        secrets=sorted(secrets, key=lambda one: (one.secret_name, one.file.name if one.file else "")),
        configs=sorted(configs, key=lambda one: (one.config_name, one.file.name if one.file else "")),
    )
    return replace(spec, task_template=replace(spec.task_template, container_spec=container))


def users_of(state: State, kind: Kind[Any], id: str) -> list[str]:
    """Names of the services that refer to a secret or config in their wanted spec or the one in force."""
    return sorted(
        service.spec.name
        for service in state.services.values()
        if any(id in _ids(kind, spec.task_template.container_spec) for spec in _specs(state, service.id))
    )


def used_ids(state: State, kind: Kind[Any]) -> set[str]:
    """Ids of all secrets or configs that a service, or a revision that a rollback may bring back, refers to."""
    specs = [service.spec for service in state.services.values()]
    specs += [revision.spec for revision in state.table(REVISION).values()]
    return {id for spec in specs for id in _ids(kind, spec.task_template.container_spec)}


def _specs(state: State, service_id: str) -> list[ServiceSpec]:
    specs = [state.services[service_id].spec]
    decision = state.service_decisions.get(service_id)
    if decision and (revision := state.table(REVISION).get(revision_id(service_id, decision.revision))):
        specs.append(revision.spec)
    return specs


def _ids(kind: Kind[Any], spec: ContainerSpec) -> set[str]:
    if kind is SECRET:
        return {reference.secret_id for reference in spec.secrets}
    return {reference.config_id for reference in spec.configs}


def _secret(state: State, reference: SecretReference) -> SecretReference:
    found = _find(state, SECRET, "secret", reference.secret_id, reference.secret_name)
    return SecretReference(_target(reference.file, found.spec.name), found.id, found.spec.name)


def _config(state: State, reference: ConfigReference) -> ConfigReference:
    found = _find(state, CONFIG, "config", reference.config_id, reference.config_name)
    return ConfigReference(_target(reference.file, found.spec.name), found.id, found.spec.name)


F = TypeVar("F", bound=Secret | Config)


def _find(state: State, kind: Kind[F], what: str, id: str, name: str) -> F:
    if not id and not name:
        raise Invalid(f"malformed {what} reference: it has neither an id nor a name")
    found = state.table(kind).get(id) if id else file_named(state, kind, name)
    if found is None:
        raise Invalid(f"{what} not found: {name or id}")
    if name and name not in (found.spec.name, base_of(found)):
        raise Invalid(f"malformed {what} reference: {id} is {found.spec.name}, not {name}")
    return found


def _target(target: FileTarget | None, name: str) -> FileTarget:
    target = target or FileTarget()
    return replace(target, name=target.name or name, uid=target.uid or "0", gid=target.gid or "0")


def _check_targets(what: str, targets: Sequence[tuple[str, FileTarget | None]]) -> None:
    seen: dict[str, str] = {}
    for name, target in targets:
        path = target.name if target else name
        if path in seen:
            raise Invalid(f"{what} references '{seen[path]}' and '{name}' have a conflicting target: '{path}'")
        seen[path] = name
