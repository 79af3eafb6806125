"""Assignments of secrets and configs to a task's host, decrypted here: workers never see the cluster's key. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator

from api.objects.kinds import CONFIG, SECRET
from api.service.container import ConfigReference, ContainerSpec, SecretReference
from api.wire.assignments import AssignmentKey, ConfigAssignment, SecretAssignment
from manager.security import encryption
from manager.security.data_key import unsealed
from manager.store.state import State


def stored_file_assignments(
    state: State, spec: ContainerSpec, known: Container[AssignmentKey]
) -> Iterator[SecretAssignment | ConfigAssignment]:
    """The secrets and configs that the container's spec refers to, without those in `known`."""
    for secret in spec.secrets:
        if ("secret", secret.secret_id) not in known:
            yield _secret(state, secret)
    for config in spec.configs:
        if ("config", config.config_id) not in known:
            yield _config(state, config)


def _secret(state: State, reference: SecretReference) -> SecretAssignment:
    id, name = reference.secret_id, reference.secret_name
    stored = state.table(SECRET).get(id)
    if stored is None:
        return SecretAssignment(id, name, trouble=f"secret {name} was removed from the cluster")
    try:
        return SecretAssignment(id, name, unsealed(state, id, stored.sealed))
    except encryption.DecryptionError as error:
        return SecretAssignment(id, name, trouble=f"secret {name}: {error}; remove it and create it again")


def _config(state: State, reference: ConfigReference) -> ConfigAssignment:
    id, name = reference.config_id, reference.config_name
    stored = state.table(CONFIG).get(id)
    if stored is None:
        return ConfigAssignment(id, name, trouble=f"config {name} was removed from the cluster")
    return ConfigAssignment(id, name, stored.spec.data)
