"""The end of the pipeline: what is to exist in the cluster for a stack."""

from __future__ import annotations

from dataclasses import dataclass

from api.specs import NetworkSpec, ServiceSpec

NAMESPACE = "com.docker.stack.namespace"
"""Label of everything that belongs to a stack; the docker CLI's own, so that both see the same stacks."""
IMAGE = "com.docker.stack.image"
"""Label of a service: the image as the file names it, before its tag was resolved."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a service waits for before it is created."""

    service: str
    """Short name."""
    condition: str
    """service_started, service_healthy or service_completed_successfully."""
    required: bool = True


@dataclass(frozen=True, slots=True)
class StackService:
    """A service of a stack."""

    short_name: str
    spec: ServiceSpec
    after: tuple[Wait, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything a stack wants: what to create, and what must exist already."""

    name: str
    networks: tuple[NetworkSpec, ...] = ()
    external_networks: tuple[str, ...] = ()
    services: tuple[StackService, ...] = ()
    """In an order in which every service stands behind those it depends on."""
