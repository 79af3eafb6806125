"""Services, as the Engine API answers them. (What clients send is a ServiceSpec.)"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from api.engine.common import Answer, VersionAnswer, always
from api.labels import stack_of
from api.service.ports import EndpointSpec, PortConfig
from api.service.service_spec import ServiceSpec

S = TypeVar("S")


class PortAnswer(PortConfig, frozen=True):
    """A published port, with its protocol and mode always there."""

    protocol: Literal["tcp", "udp", "sctp"] = always("tcp")
    publish_mode: Literal["ingress", "host"] = always("ingress")

    @classmethod
    def of(cls, port: PortConfig) -> PortAnswer:
        """The answer about a port."""
        return cls(
            port.name, port.protocol, port.target_port, port.published_port, port.publish_mode, port.host_ip
        )  # fmt: skip


class EndpointSpecAnswer(Answer, frozen=True):
    """How a service was asked to be reached."""

    mode: str = ""
    ports: list[PortAnswer] = []

    @classmethod
    def of(cls, spec: EndpointSpec) -> EndpointSpecAnswer:
        """The answer about a spec."""
        return cls(spec.mode, [PortAnswer.of(port) for port in spec.ports])


class VirtualIPAnswer(Answer, frozen=True):
    """A service's address on a network, with the length of the subnet's prefix."""

    network_id: str
    addr: str


class EndpointAnswer(Answer, frozen=True):
    """How a service is reached."""

    spec: EndpointSpecAnswer = always(EndpointSpecAnswer())
    ports: list[PortAnswer] = []
    """With the numbers that were picked."""
    virtual_ips: list[VirtualIPAnswer] = msgspec.field(default_factory=list, name="VirtualIPs")


class UpdateStatusAnswer(Answer, frozen=True):
    """How far an update or a rollback is."""

    state: str = always("")
    started_at: str = always("")
    completed_at: str = ""
    message: str = always("")
    reason: str = ""
    """Ours: why it was paused or rolled back, when the message does not say so."""


class ServiceStatusAnswer(Answer, frozen=True):
    """Numbers of a service's tasks."""

    running_tasks: int = always(0)
    desired_tasks: int = always(0)
    completed_tasks: int = always(0)


class JobStatusAnswer(Answer, frozen=True):
    """The newest iteration of a job, and when it began; "" for never."""

    job_iteration: VersionAnswer = always(VersionAnswer())
    last_execution: str = ""


class ServiceFields(Answer, Generic[S], frozen=True):
    """The fields of a service; S is the form that its specs are in."""

    id: str
    version: VersionAnswer
    created_at: str
    updated_at: str
    spec: S
    previous_spec: S | None = None
    endpoint: EndpointAnswer = always(EndpointAnswer())
    update_status: UpdateStatusAnswer | None = None
    service_status: ServiceStatusAnswer | None = None
    """In lists, when asked for with `status=true`."""
    job_status: JobStatusAnswer | None = None


EncodedServiceAnswer = ServiceFields[msgspec.Raw]
"""A service as managers answer it: specs are encoded once and kept."""


class ServiceAnswer(ServiceFields[ServiceSpec], frozen=True):
    """GET /services/{id}, and an item of GET /services, as clients read it."""

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return stack_of(self.spec.labels)

    @property
    def network_ids(self) -> set[str]:
        """Networks it is on."""
        return {target.target for target in self.spec.task_template.networks or self.spec.networks}


class ServiceUpdatedAnswer(Answer, frozen=True):
    """POST /services/{id}/update."""

    warnings: list[str] | None = None
