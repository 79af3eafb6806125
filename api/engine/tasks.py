"""Tasks: the answers of the /tasks paths."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from api.engine.common import Answer, VersionAnswer, always
from api.reasons.reason import Reason
from api.service.container import Driver
from api.service.resources import GenericResource
from api.service.service_spec import TaskSpec

S = TypeVar("S")


class ContainerStatusAnswer(Answer, frozen=True):
    """A task's container."""

    container_id: str = always("")
    pid: int = always(0)
    exit_code: int = always(0)


class HostPortAnswer(Answer, frozen=True):
    """A port of a task on its host."""

    protocol: str = always("tcp")
    target_port: int = 0
    published_port: int = 0
    publish_mode: str = always("host")
    host_ip: str = ""


class PortStatusAnswer(Answer, frozen=True):
    """A task's ports on its host."""

    ports: list[HostPortAnswer] = []


class TaskStatusAnswer(Answer, frozen=True):
    """Where a task is in its life, and why."""

    timestamp: str = always("")
    state: str = always("")
    message: str = always("")
    err: str = always("")
    reason: Reason | None = None
    """Argosy's own: the reason as a value; `err` is its text."""
    container_status: ContainerStatusAnswer | None = None
    port_status: PortStatusAnswer = always(PortStatusAnswer())


class AttachedNetworkSpecAnswer(Answer, frozen=True):
    """The spec of a network that a task is attached to."""

    name: str = always("")
    labels: dict[str, str] = always({})
    driver_configuration: Driver = always(Driver("overlay"))
    attachable: bool = always(False)
    ingress: bool = always(False)
    scope: str = always("swarm")


class AttachedNetworkAnswer(Answer, frozen=True):
    """A network of a task; without a spec when the network was removed."""

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    spec: AttachedNetworkSpecAnswer | None = None


class NetworkAttachmentAnswer(Answer, frozen=True):
    """A task's addresses on one network."""

    network: AttachedNetworkAnswer = always(AttachedNetworkAnswer())
    addresses: list[str] = always([])


class TaskFields(Answer, Generic[S], frozen=True):
    """The fields of a task; S is the form that its spec is in."""

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    name: str = always("")
    labels: dict[str, str] = always({})
    spec: S = always(msgspec.Raw(b"{}"))
    service_id: str = always("")
    slot: int = 0
    node_id: str = always("")
    status: TaskStatusAnswer = always(TaskStatusAnswer())
    desired_state: str = always("")
    networks_attachments: list[NetworkAttachmentAnswer] = []
    generic_resources: list[GenericResource] = []
    job_iteration: VersionAnswer | None = None


class EncodedTaskAnswer(TaskFields[msgspec.Raw], frozen=True):
    """A task as managers send it: a revision's spec is encoded once and cached."""


class TaskAnswer(TaskFields[TaskSpec], frozen=True):
    """GET /tasks/{id}, and an item of GET /tasks, as clients read it."""

    spec: TaskSpec = TaskSpec()
