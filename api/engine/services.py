"""Services: the answers of the /services paths. (Clients send a ServiceSpec.)"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

from api import defaults
from api.codec import shown
from api.engine.common import Answer, VersionAnswer, always
from api.labels import stack_of
from api.reasons.reason import Reason
from api.service.container import DNSConfig
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Limits, Reservations, Resources
from api.service.service_spec import RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig

S = TypeVar("S")


class PortAnswer(PortConfig, frozen=True):
    """A published port; its protocol and mode are always written."""

    protocol: Literal["tcp", "udp", "sctp"] = always("tcp")
    publish_mode: Literal["ingress", "host"] = always("ingress")

    @classmethod
    def of(cls, port: PortConfig) -> PortAnswer:
        """The answer about a port."""
        return cls(
            port.name, port.protocol, port.target_port, port.published_port, port.publish_mode, port.host_ip
        )  # fmt: skip


class EndpointSpecAnswer(Answer, frozen=True):
    """A service's EndpointSpec: the mode and ports that its user asked for."""

    mode: str = ""
    ports: list[PortAnswer] = []

    @classmethod
    def of(cls, spec: EndpointSpec) -> EndpointSpecAnswer:
        """The answer about a spec."""
        return cls(spec.mode, [PortAnswer.of(port) for port in spec.ports])


class VirtualIPAnswer(Answer, frozen=True):
    """A service's address on a network, with the length of the subnet's prefix."""

    network_id: str = always("")
    addr: str = always("")


class EndpointAnswer(Answer, frozen=True):
    """A service's ports and virtual addresses."""

    spec: EndpointSpecAnswer = always(EndpointSpecAnswer())
    ports: list[PortAnswer] = []
    """With the numbers that the allocator picked."""
    virtual_ips: list[VirtualIPAnswer] = msgspec.field(default_factory=list, name="VirtualIPs")


class UpdateStatusAnswer(Answer, frozen=True):
    """The progress of an update or a rollback."""

    state: str = always("")
    started_at: str = always("")
    completed_at: str = ""
    message: str = always("")
    reason: Reason | None = None
    """Argosy's own: why it waits, was paused or was rolled back."""


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

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    spec: S = always(msgspec.Raw(b"{}"))
    previous_spec: S | None = None
    endpoint: EndpointAnswer = always(EndpointAnswer())
    update_status: UpdateStatusAnswer | None = None
    service_status: ServiceStatusAnswer | None = None
    """In lists, when asked for with `status=true`."""
    job_status: JobStatusAnswer | None = None


class EncodedServiceAnswer(ServiceFields[msgspec.Raw], frozen=True):
    """A service as managers send it: each spec is encoded once and cached."""


class ServiceAnswer(ServiceFields[ServiceSpec], frozen=True):
    """GET /services/{id}, and an item of GET /services, as clients read it."""

    spec: ServiceSpec = ServiceSpec()

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return stack_of(self.spec.labels)

    @property
    def network_ids(self) -> set[str]:
        """Ids of the networks that it is attached to."""
        return set(self.spec.network_ids)


class ServiceUpdatedAnswer(Answer, frozen=True):
    """POST /services/{id}/update."""

    warnings: list[str] | None = None


# ── specs in answers ─────────────────────────────────────────────────────────────────────────────────────────────


def shown_service_spec(spec: ServiceSpec) -> dict[str, Any]:
    """A service's spec as plain values, with the fields that Docker always shows."""
    return {
        "Name": spec.name,
        "Labels": {},
        **shown(spec.explicit()),
        "TaskTemplate": shown_task_spec(spec.task_template),
    }


def shown_task_spec(spec: TaskSpec) -> dict[str, Any]:
    """A task's spec as plain values, with the fields that Docker always shows."""
    return {**shown(spec), "ForceUpdate": spec.force_update, "Runtime": spec.runtime or "container"}


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    """The spec with defaults in the fields it leaves out (swarmkit api/defaults/service.go)."""
    task, replace = spec.task_template, msgspec.structs.replace
    container = replace(
        task.container_spec,
        stop_grace_period=_or(task.container_spec.stop_grace_period, defaults.STOP_GRACE_PERIOD),
        dns_config=task.container_spec.dns_config or DNSConfig(),
    )
    restart = task.restart_policy or RestartPolicy()
    resources = task.resources or Resources()
    task = replace(
        task,
        container_spec=container,
        resources=replace(
            resources,
            limits=resources.limits or Limits(),
            reservations=resources.reservations or Reservations(),
        ),
        restart_policy=RestartPolicy(
            condition=restart.condition or "any",
            delay=_or(restart.delay, defaults.RESTART_DELAY),
            max_attempts=_or(restart.max_attempts, 0),
            window=_or(restart.window, 0),
        ),
    )
    return replace(
        spec,
        task_template=task,
        update_config=None if spec.is_job else _update_defaults(spec.update_config),
        rollback_config=None if spec.is_job else _update_defaults(spec.rollback_config),
        endpoint_spec=spec.endpoint_spec or EndpointSpec(mode="vip"),
    )


def _update_defaults(config: UpdateConfig | None) -> UpdateConfig:
    config = config or UpdateConfig()
    return msgspec.structs.replace(
        config,
        parallelism=_or(config.parallelism, defaults.UPDATE_PARALLELISM),
        failure_action=config.failure_action or "pause",
        monitor=_or(config.monitor, defaults.UPDATE_MONITOR),
        order=config.order or "stop-first",
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
