"""A service as its user wants it; its parts have files beside this one. Names and meanings are the Docker Engine API's.

Units: durations are nanoseconds, CPUs are nano-CPUs (10⁹ is one CPU), memory is bytes.
None and empty mean "not said"; the defaults are in api/defaults.py and are applied where a value is used.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from api.codec import Value
from api.service.container import ContainerSpec, Driver
from api.service.mode import Mode
from api.service.placement import Placement
from api.service.ports import EndpointSpec
from api.service.resources import Resources
from api.service.schedule import Schedule, of_labels

NO_NETWORK = ("host", "none")
"""Targets that are no network: a service has at most one of them, and then nothing else."""


class RestartPolicy(Value, frozen=True):
    """When an ended task is replaced."""

    condition: Literal["", "none", "on-failure", "any"] = ""
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None


class NetworkTarget(Value, frozen=True):
    """A network a service is on. `target` is an id once the API has resolved the name."""

    target: str = ""
    aliases: list[str] = []
    driver_opts: dict[str, str] = {}
    mac_address: str = msgspec.field(default="", name="MacAddress")
    ipv4_address: str = ""
    """Without prefix length. Both for a service of one replica only."""


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
    """Nanoseconds without one more slot done after which it counts as failed, with the stuck task's own message."""


class Dependency(Value, frozen=True):
    """What a service waits for before tasks of a new revision start. Compose's `depends_on`, kept by the managers."""

    service: str = ""
    """The other service's full name."""
    condition: Literal["started", "healthy", "completed"] = "started"
    restart: bool = False
    """Clients that replace the other service's tasks have this one's replaced too."""
    optional: bool = False
    """Whether a service that does not exist, or does not come up, is gone on without."""


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


def schedule_of(spec: ServiceSpec) -> Schedule | None:
    """A service's schedule; None if it has none, or is no job. Raises Invalid for labels that make no sense."""
    if not (spec.mode.replicated_job or spec.mode.global_job):
        return None
    if spec.schedule is not None:
        return spec.schedule if spec.schedule.cron else None
    return of_labels(spec.labels)
