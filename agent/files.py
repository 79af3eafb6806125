"""The secrets and configs of a task: which it needs, which have come, and where they go in its container. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from agent.runtime.base import PlannedFile, RuntimeFailure
from api.assignment import ConfigOrder, ResourceKey, SecretOrder, key_of
from api.specs import ContainerSpec, FileTarget

SECRETS = "/run/secrets"
"""Where secrets go whose target is no absolute path; configs go to the root."""


def needed(spec: ContainerSpec) -> dict[ResourceKey, str]:
    """What a container refers to, with a name for people: "secret password"."""
    return {
        **{("secret", r.secret_id): f"secret {r.secret_name}" for r in spec.secrets},
        **{("config", r.config_id): f"config {r.config_name}" for r in spec.configs},
    }


def planned(spec: ContainerSpec, orders: Iterable[SecretOrder | ConfigOrder]) -> tuple[PlannedFile, ...]:
    """The files to be made. Raises RuntimeFailure with the manager's word on what it does not have."""
    come = {key_of(order): order for order in orders}
    targets: list[tuple[ResourceKey, FileTarget | None, str]] = [
        *((("secret", r.secret_id), r.file, SECRETS) for r in spec.secrets),
        *((("config", r.config_id), r.file, "") for r in spec.configs),
    ]
    return tuple(_planned(come[key], target, base) for key, target, base in targets)


def _planned(order: SecretOrder | ConfigOrder, target: FileTarget | None, base: str) -> PlannedFile:
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
