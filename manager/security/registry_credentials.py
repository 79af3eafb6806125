"""Registry credentials: the login for pulling a service's image. Stored encrypted, sent only to hosts with its tasks.

A login belongs to the service, not to a revision: tokens expire, and the newest one is valid for every task. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from api.objects.wanted import Service
from api.registry_auth import Login, auth_json
from api.wire.assignments import SecretAssignment, login_id
from manager.security import encryption
from manager.security.data_key import data_key, unsealed
from manager.store.interface import Change
from manager.store.state import State


class RegistryCredentials(msgspec.Struct, frozen=True):
    """A login, and the domain of the only registry that it is for."""

    domain: str
    login: Login


def sealed(state: State, service: Service, credentials: RegistryCredentials) -> tuple[Service, list[Change]]:
    """The service with the login, and changes to commit together with it. Unchanged if it already has that login."""
    if credentials_of(state, service) == credentials:
        return service, []
    key, changes = data_key(state)
    data = encryption.seal(key, login_id(service.id), msgspec.json.encode(credentials))
    return msgspec.structs.replace(service, registry_login=data), changes


def credentials_of(state: State, service: Service) -> RegistryCredentials | None:
    """The registry credentials of a service; None when it has none that can be decrypted."""
    if not service.registry_login or state.cluster is None:
        return None
    try:
        data = unsealed(state, login_id(service.id), service.registry_login)
    except encryption.DecryptionError:
        return None
    return msgspec.json.decode(data, type=RegistryCredentials)


def login_assignments(state: State, service_id: str) -> Iterator[SecretAssignment]:
    """The login as an assignment for the service's hosts; one or none."""
    service = state.services.get(service_id)
    if service is not None and service.registry_login:
        credentials = credentials_of(state, service)
        yield SecretAssignment(
            login_id(service_id), data=auth_json(credentials.login, credentials.domain) if credentials else b""
        )
