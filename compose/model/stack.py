"""The stack, result of phase 13: the objects that must exist in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.labels import DIGEST, NAMESPACE, SHORT_NAME
from api.network.network_spec import NetworkSpec
from api.service.service_spec import ServiceSpec
from api.stored_file_versions import digest_of

__all__ = [
    "DIGEST", "IMAGE", "NAMESPACE", "SHORT_NAME", "Stack", "StackFile", "StackService", "digest_of",
]  # fmt: skip

IMAGE = "com.docker.stack.image"
"""Label of a service: the image as the file names it, before its tag was resolved."""


@dataclass(frozen=True, slots=True)
class StackService:
    """A service of a stack."""

    short_name: str
    spec: ServiceSpec
    """`depends_on` has the full names of the services it waits for."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """A secret or config to create. It is immutable: other content gets another name."""

    short_name: str
    name: str
    """STACK_name-DIGEST, or NAME-DIGEST with the `name` given in the file."""
    data: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    """Include NAMESPACE, SHORT_NAME and DIGEST. All versions of the file share the first two."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The objects to create for a stack, and the external ones that must exist already."""

    name: str
    networks: tuple[NetworkSpec, ...] = ()
    external_networks: tuple[str, ...] = ()
    services: tuple[StackService, ...] = ()
    """Each service comes after those it depends on."""
    secrets: tuple[StackFile, ...] = ()
    """Created before the services, which refer to them by name; the deployment fills in the ids."""
    configs: tuple[StackFile, ...] = ()
    external_secrets: tuple[str, ...] = ()
    external_configs: tuple[str, ...] = ()
