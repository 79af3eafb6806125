"""A service as its user wants it; its parts have files beside this one. Names and meanings are the Docker Engine API's.

Units: durations are nanoseconds, CPUs are nano-CPUs (10⁹ is one CPU), memory is bytes.
None and empty mean "not given". The defaults are in api/defaults.py; the properties below apply them.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from api import defaults
from api.codec import Value
from api.network.network_spec import INGRESS
from api.service.container import ContainerSpec, Driver
from api.service.mode import Mode, ModeKind
from api.service.placement import Placement
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Resources
from api.service.schedule import Schedule, of_labels

NO_NETWORK = ("host", "none")
"""Targets that are not networks. A service can have one of them, and then no other target."""
PREDEFINED_NETWORKS = (*NO_NETWORK, "bridge")
"""Networks that every host has and that do not belong to the cluster."""


class RestartPolicy(Value, frozen=True):
    """When an ended task is replaced."""

    condition: Literal["", "none", "on-failure", "any"] = ""
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None

    @property
    def after(self) -> Literal["none", "on-failure", "any"]:
        """After which kind of end another task is started."""
        return self.condition or "any"

    @property
    def delay_seconds(self) -> float:
        """Time between the end of a task and the start of the next."""
        return _seconds(self.delay, defaults.RESTART_DELAY)

    @property
    def window_seconds(self) -> float:
        """How long a restart counts against `max_attempts`; 0 means for ever."""
        return _seconds(self.window, 0)


class NetworkTarget(Value, frozen=True):
    """A network a service is on. `target` is an id once the API has resolved the name."""

    target: str = ""
    aliases: list[str] = []
    driver_opts: dict[str, str] = {}
    mac_address: str = msgspec.field(default="", name="MacAddress")
    ipv4_address: str = ""
    """Without prefix length. Like `mac_address` only for a service with one replica."""


class TaskSpec(Value, frozen=True):
    """What each task of a service is; two revisions with equal TaskSpecs need no new tasks."""

    container_spec: ContainerSpec = ContainerSpec()
    resources: Resources | None = None
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None
    networks: list[NetworkTarget] = []
    log_driver: Driver | None = None
    force_update: int = 0
    runtime: str = ""


class UpdateConfig(Value, frozen=True):
    """How an update or a rollback proceeds."""

    parallelism: int | None = None
    delay: int = 0
    failure_action: Literal["", "pause", "continue", "rollback"] = ""
    monitor: int | None = None
    max_failure_ratio: float = 0.0
    order: Literal["", "stop-first", "start-first"] = ""
    progress_deadline: int | None = None
    """Nanoseconds. An update in which no further slot gets done for that long has failed."""

    @property
    def slots_at_once(self) -> int:
        """Slots that may be worked on at once; 0 for all."""
        return defaults.UPDATE_PARALLELISM if self.parallelism is None else self.parallelism

    @property
    def delay_seconds(self) -> float:
        """Time between one slot and the next."""
        return _seconds(self.delay, 0)

    @property
    def monitor_seconds(self) -> float:
        """Time after its start in which the end of a task counts as a failure of the update."""
        return _seconds(self.monitor, defaults.UPDATE_MONITOR)

    @property
    def deadline_seconds(self) -> float:
        """Time without a further slot done after which the update has failed."""
        return _seconds(self.progress_deadline, defaults.PROGRESS_DEADLINE)

    @property
    def on_failure(self) -> Literal["pause", "continue", "rollback"]:
        """What happens to an update that fails."""
        return self.failure_action or "pause"

    @property
    def starts_first(self) -> bool:
        """Whether the new task of a slot starts before the old one stops."""
        return self.order == "start-first"


class Dependency(Value, frozen=True):
    """What a service waits for before tasks of a new revision start. Compose's `depends_on`, kept by the managers."""

    service: str = ""
    """The other service's full name."""
    condition: Literal["started", "healthy", "completed"] = "started"
    restart: bool = False
    """A client that replaces the other service's tasks also replaces this one's."""
    optional: bool = False
    """Whether to go on without the other service when it does not exist or does not come up."""


class ServiceSpec(Value, frozen=True):
    """A service as its user wants it."""

    name: str = ""
    labels: dict[str, str] = {}
    task_template: TaskSpec = TaskSpec()
    mode: Mode = Mode()
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    networks: list[NetworkTarget] = []
    """Deprecated place for TaskTemplate.Networks; the API moves them there."""
    endpoint_spec: EndpointSpec | None = None
    depends_on: list[Dependency] = []
    schedule: Schedule | None = None
    """For jobs only. May be given by labels instead: `argosy.schedule` and others (api/service/schedule.py)."""
    revision_history: int | None = None
    """Revisions kept for rollback, the one in force among them."""
    rebalance: bool | None = None
    """Whether its tasks move to nodes that join or return. None: as the label `argosy.rebalance` of the service, then
    of the cluster, says; if none does, they stay."""

    @property
    def mode_kind(self) -> ModeKind:
        """Which of the four modes it has."""
        return self.mode.kind

    @property
    def is_job(self) -> bool:
        """Whether its tasks are to complete."""
        return self.mode.is_job

    @property
    def is_global(self) -> bool:
        """Whether its slots are nodes."""
        return self.mode.is_global

    @property
    def is_replicated(self) -> bool:
        """Whether it is to have a certain number of tasks that run."""
        return self.mode.kind is ModeKind.REPLICATED

    @property
    def is_replicated_job(self) -> bool:
        """Whether it is to have a certain number of tasks that complete."""
        return self.mode.kind is ModeKind.REPLICATED_JOB

    @property
    def replicas(self) -> int:
        """Slots of a replicated service or job; without meaning for a global one."""
        return self.mode.replicas

    @property
    def concurrency(self) -> int:
        """Tasks of a replicated job that may be at work at once."""
        return self.mode.concurrency

    def scaled(self, replicas: int) -> ServiceSpec:
        """The spec with another number of tasks (of a job: completions). Raises Invalid for a global service."""
        return replace(self, mode=self.mode.scaled(replicas))

    def with_concurrency(self, most: int) -> ServiceSpec:
        """The spec with another limit on tasks at once. Raises Invalid unless it is a replicated job."""
        return replace(self, mode=self.mode.with_concurrency(most))

    @property
    def kept_revisions(self) -> int:
        """How many revisions are kept, the one in force among them."""
        return defaults.REVISION_HISTORY if self.revision_history is None else self.revision_history

    def explicit(self) -> ServiceSpec:
        """With both numbers of a replicated job filled in; Docker's client expects them."""
        return replace(self, mode=self.mode.explicit())

    def job_schedule(self) -> Schedule | None:
        """The schedule, from the spec or its labels; None if there is none, or if it is not a job. Raises Invalid for
        labels that cannot be read."""
        if not self.is_job:
            return None
        if self.schedule is not None:
            return self.schedule if self.schedule.cron else None
        return of_labels(self.labels)

    @property
    def ports(self) -> list[PortConfig]:
        """The ports it publishes."""
        return self.endpoint_spec.ports if self.endpoint_spec else []

    @property
    def host_ports(self) -> list[PortConfig]:
        """The ports published on each task's own host."""
        return [port for port in self.ports if port.is_on_host]

    @property
    def mesh_ports(self) -> list[PortConfig]:
        """The ports published on every host, by the routing mesh."""
        return [port for port in self.ports if not port.is_on_host]

    @property
    def has_vip(self) -> bool:
        """Whether it has a virtual address on its networks. If not, its name resolves to its tasks' addresses."""
        return self.endpoint_spec is None or self.endpoint_spec.mode != "dnsrr"

    @property
    def network_targets(self) -> list[NetworkTarget]:
        """The networks it asks for, in the task template or in the deprecated place."""
        return self.task_template.networks or self.networks

    def is_on_network(self, network_id: str) -> bool:
        """Whether its tasks are on that network."""
        return any(target.target == network_id for target in self.network_targets)

    @property
    def network_ids(self) -> list[str]:
        """The networks on which its tasks have an address. Includes ingress if it publishes ports there."""
        found = dict.fromkeys(one.target for one in self.network_targets if one.target not in PREDEFINED_NETWORKS)
        if self.mesh_ports:
            found[INGRESS] = None
        return list(found)

    @property
    def fixed_addresses(self) -> dict[str, str]:
        """By network: the address that the service's one task must have."""
        return {one.target: one.ipv4_address for one in self.network_targets if one.ipv4_address}


def _seconds(nanoseconds: int | None, default: int) -> float:
    return (default if nanoseconds is None else nanoseconds) / defaults.SECOND
