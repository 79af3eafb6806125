"""The end of the pipeline: what is to exist in the cluster for a stack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from api.specs import NetworkSpec, ServiceSpec

NAMESPACE = "com.docker.stack.namespace"
"""Label of everything that belongs to a stack; the docker CLI's own, so that both see the same stacks."""
IMAGE = "com.docker.stack.image"
"""Label of a service: the image as the file names it, before its tag was resolved."""
SHORT_NAME = "io.argosy.stack.name"
"""Label of a secret or config: its name in the file, without stack and digest: the same for all its versions."""
DIGEST = "io.argosy.stack.digest"
"""Label of a secret or config: the digest that is part of its name."""


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


def digest_of(data: bytes, *, is_secret: bool, salt: str) -> str:
    """Eight hex digits that change with the content.

    Names can be seen by everybody who may list secrets, so a secret's digest is made slow to guess from: scrypt with
    8 MiB, some 20 ms. The salt is the full name, so equal secrets do not show.
    """
    if is_secret:
        return hashlib.scrypt(data, salt=salt.encode(), n=1 << 13, r=8, p=1, dklen=4).hex()
    return hashlib.sha256(data).hexdigest()[:8]
