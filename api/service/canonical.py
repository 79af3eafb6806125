"""The one form of specs that mean the same, so that equal specs mean "no change", whoever wrote them.

`canonical` is the form in which a spec is stored: empty parts are left out, enumerations are written out, and networks
stand in the task template. `comparable` is for finding differences: it has names in place of ids, and sorted lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from api import image_reference
from api.codec import Value
from api.service.container import (
    ConfigReference,
    ContainerSpec,
    DNSConfig,
    Driver,
    Healthcheck,
    Privileges,
    SecretReference,
)
from api.service.host_config import HostConfig
from api.service.placement import Placement, Platform
from api.service.ports import EndpointSpec
from api.service.resources import Limits, Reservations, Resources
from api.service.schedule import Schedule
from api.service.service_spec import RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig

V = TypeVar("V", bound=Value)


def canonical(spec: ServiceSpec) -> ServiceSpec:
    """The spec in the form in which it is stored."""
    task = spec.task_template
    task = replace(
        task,
        container_spec=_container(task.container_spec),
        resources=_resources(task.resources),
        placement=_placement(task),
        restart_policy=_restart(task.restart_policy),
        networks=spec.network_targets,
        runtime="" if task.runtime == "container" else task.runtime,
    )
    return replace(
        spec,
        task_template=task,
        networks=[],
        depends_on=sorted(spec.depends_on, key=lambda item: item.service),
        mode=spec.mode.canonical(),
        update_config=_update(spec.update_config),
        rollback_config=_update(spec.rollback_config),
        endpoint_spec=_endpoint(spec.endpoint_spec),
    )


def comparable(spec: ServiceSpec, names: Mapping[str, str]) -> ServiceSpec:
    """The canonical form without ids, and with lists in one order. `names` are those of the networks, by id."""
    spec = canonical(spec)
    task, endpoint = spec.task_template, spec.endpoint_spec or EndpointSpec(mode="vip")
    ports = sorted(endpoint.ports, key=lambda port: (port.published_port, port.target_port, port.protocol))
    networks = [replace(one, target=names.get(one.target, one.target)) for one in task.networks]
    task = replace(
        task,
        container_spec=_container_without_ids(task.container_spec),
        networks=sorted(networks, key=lambda one: one.target),
        log_driver=_or_none(task.log_driver, Driver()),
    )
    return replace(
        spec,
        task_template=task,
        endpoint_spec=replace(endpoint, ports=ports),
        schedule=_or_none(spec.schedule, Schedule()),
    )


def _or_none(part: V | None, empty: V) -> V | None:
    """None for a part in which nothing is set."""
    return None if part == empty else part


def _container(spec: ContainerSpec) -> ContainerSpec:
    return replace(
        spec,
        image=image_reference.familiar(spec.image),  # unreadable ones stay as they are; validation reports them
        # `docker service update` sends mounts sorted by source; by target, what is mounted over comes first
        mounts=sorted(spec.mounts, key=lambda mount: mount.target),
        dns_config=_or_none(spec.dns_config, DNSConfig()),
        privileges=_or_none(spec.privileges, Privileges()),
        healthcheck=_or_none(spec.healthcheck, Healthcheck()),
        isolation="" if spec.isolation == "default" else spec.isolation,
        host_config=_or_none(spec.host_config, HostConfig()),
        pull_policy="" if spec.pull_policy in ("missing", "if_not_present") else spec.pull_policy,
    )


def _container_without_ids(spec: ContainerSpec) -> ContainerSpec:
    secrets = [replace(one, secret_id="") for one in spec.secrets]
    configs = [replace(one, config_id="") for one in spec.configs]
    return replace(
        spec,
        env=sorted(spec.env),
        secrets=sorted(secrets, key=lambda one: (one.secret_name, _file_name(one))),
        configs=sorted(configs, key=lambda one: (one.config_name, _file_name(one))),
    )


def _file_name(reference: SecretReference | ConfigReference) -> str:
    return reference.file.name if reference.file else ""


def _placement(task: TaskSpec) -> Placement | None:
    """An image of one platform runs on hosts of that platform."""
    placement, platform = task.placement or Placement(), task.container_spec.platform
    if platform and not placement.platforms:
        placement = replace(placement, platforms=[Platform.parse(platform)])
    return _or_none(placement, Placement())


def _resources(resources: Resources | None) -> Resources | None:
    if resources is None:
        return None
    limits, reservations = _or_none(resources.limits, Limits()), _or_none(resources.reservations, Reservations())
    return _or_none(Resources(limits, reservations), Resources())


def _restart(policy: RestartPolicy | None) -> RestartPolicy | None:
    if policy is None or policy == RestartPolicy():
        return None
    return replace(policy, condition=policy.condition or "any")


def _update(config: UpdateConfig | None) -> UpdateConfig | None:
    if config is None:
        return None
    return replace(config, failure_action=config.failure_action or "pause", order=config.order or "stop-first")


def _endpoint(endpoint: EndpointSpec | None) -> EndpointSpec | None:
    if endpoint is None or endpoint in (EndpointSpec(), EndpointSpec(mode="vip")):
        return None
    ports = [replace(port, host_ip="") if port.host_ip == "0.0.0.0" else port for port in endpoint.ports]
    return replace(endpoint, mode=endpoint.mode or "vip", ports=ports)
