"""The end of the pipeline: what is to exist in the cluster for a stack."""

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
    """What it waits for is in `depends_on`, by full names."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """A secret or config that is to exist. Never changed: other content has another name."""

    short_name: str
    name: str
    """STACK_name-DIGEST, or what the file says with the digest behind it."""
    data: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    """With NAMESPACE, SHORT_NAME and DIGEST. Earlier versions have the same first two."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything a stack wants: what to create, and what must exist already."""

    name: str
    networks: tuple[NetworkSpec, ...] = ()
    external_networks: tuple[str, ...] = ()
    services: tuple[StackService, ...] = ()
    """In an order in which every service stands behind those it depends on."""
    secrets: tuple[StackFile, ...] = ()
    """To be created before the services, which refer to them by name; their ids are for the deployer to fill in."""
    configs: tuple[StackFile, ...] = ()
    external_secrets: tuple[str, ...] = ()
    external_configs: tuple[str, ...] = ()
