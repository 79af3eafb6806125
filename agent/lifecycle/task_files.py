"""Task files: the secrets and configs that a task needs, and their paths in its container. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from agent.runtime.interface import PlannedFile, RuntimeFailure
from api.service.container import ContainerSpec, FileTarget
from api.wire.assignments import AssignmentKey, ConfigAssignment, SecretAssignment, SpecAssignment, key_of, login_id

SECRETS = "/run/secrets"
"""Directory of secrets without an absolute target path. Configs without one are placed in `/`."""


def needed(order: SpecAssignment, service_id: str) -> dict[AssignmentKey, str]:
    """The secrets and configs that a task refers to, each with a name for messages, such as "secret password"."""
    spec = order.task.container_spec
    login: dict[AssignmentKey, str] = {("secret", login_id(service_id)): "the login at its registry"}
    return {
        **(login if order.registry_login else {}),
        **{("secret", r.secret_id): f"secret {r.secret_name}" for r in spec.secrets},
        **{("config", r.config_id): f"config {r.config_name}" for r in spec.configs},
    }


def login(service_id: str, orders: Iterable[SecretAssignment | ConfigAssignment]) -> bytes:
    """The auth.json with which to pull a task's image; b"" if there is none."""
    return next((order.data for order in orders if order.id == login_id(service_id)), b"")


def planned(spec: ContainerSpec, orders: Iterable[SecretAssignment | ConfigAssignment]) -> tuple[PlannedFile, ...]:
    """The files to create in the container. Raises RuntimeFailure with the manager's message if one is unavailable."""
    come = {key_of(order): order for order in orders}
    targets: list[tuple[AssignmentKey, FileTarget | None, str]] = [
        *((("secret", r.secret_id), r.file, SECRETS) for r in spec.secrets),
        *((("config", r.config_id), r.file, "") for r in spec.configs),
    ]
    return tuple(_planned(come[key], target, base) for key, target, base in targets)


def _planned(order: SecretAssignment | ConfigAssignment, target: FileTarget | None, base: str) -> PlannedFile:
    if order.trouble:
        raise RuntimeFailure(order.trouble)
    target = target or FileTarget()
    path = target.name or order.name
    return PlannedFile(
        target=path if path.startswith("/") else f"{base}/{path}",
        data=order.data,
        uid=int(target.uid or 0),
        gid=int(target.gid or 0),
        mode=target.mode & 0o7777,
    )
