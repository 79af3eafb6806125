"""One form for specs that mean the same, so that comparing the file's with the cluster's tells true differences."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from api import image_reference
from api.codec import Value
from api.service import service_spec
from api.service.container import (
    ConfigReference,
    ContainerSpec,
    DNSConfig,
    Driver,
    Healthcheck,
    Privileges,
    SecretReference,
)
from api.service.placement import Placement
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Limits, Reservations, Resources
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec, TaskSpec

_replace = msgspec.structs.replace


def normal(spec: ServiceSpec, names: Mapping[str, str]) -> ServiceSpec:
    """A spec with defaults said, networks, secrets and configs by name, and lists in one order.

    `names` are those of the networks, by id.
    """
    task = spec.task_template
    networks = spec.network_targets
    return _replace(
        spec,
        networks=[],
        mode=spec.mode.canonical(),
        update_config=_update(spec.update_config),
        rollback_config=_update(spec.rollback_config),
        endpoint_spec=_endpoint(spec.endpoint_spec),
        schedule=_empty(spec.schedule, Schedule()),
        depends_on=sorted(spec.depends_on, key=lambda item: item.service),
        task_template=_replace(
            task,
            container_spec=_container(task.container_spec),
            networks=sorted(
                (_replace(item, target=names.get(item.target, item.target)) for item in networks),
                key=lambda item: item.target,
            ),
            placement=_empty(task.placement, Placement()),
            resources=_resources(task.resources),
            restart_policy=_restart(task.restart_policy),
            log_driver=_empty(task.log_driver, Driver()),
            runtime="" if task.runtime == "container" else task.runtime,
        ),
    )


def essence(spec: ServiceSpec) -> tuple[TaskSpec, list[PortConfig]]:
    """What of a normal spec its tasks are made from, so that they are replaced when it differs.

    As the managers see it (manager/orchestrator/slots/service_pass.py): of the placement, only platforms are in it.
    """
    task = spec.task_template
    if task.placement:
        platforms = Placement(platforms=task.placement.platforms)
        task = _replace(task, placement=_empty(platforms, Placement()))
    return task, spec.host_ports


def _container(spec: ContainerSpec) -> ContainerSpec:
    return _replace(
        spec,
        image=image_reference.familiar(spec.image),
        env=sorted(spec.env),
        mounts=sorted(spec.mounts, key=lambda mount: mount.target),
        healthcheck=_empty(spec.healthcheck, Healthcheck()),
        dns_config=_empty(spec.dns_config, DNSConfig()),
        privileges=_empty(spec.privileges, Privileges()),
        isolation="" if spec.isolation == "default" else spec.isolation,
        secrets=sorted((_replace(s, secret_id="") for s in spec.secrets), key=lambda s: (s.secret_name, _target(s))),
        configs=sorted((_replace(c, config_id="") for c in spec.configs), key=lambda c: (c.config_name, _target(c))),
    )


def _target(reference: SecretReference | ConfigReference) -> str:
    return reference.file.name if reference.file else ""


def _empty(part: Value | None, empty: Value) -> Value | None:
    return None if part == empty else part


def _update(config: service_spec.UpdateConfig | None) -> service_spec.UpdateConfig | None:
    if config is None:
        return None
    return _replace(config, failure_action=config.failure_action or "pause", order=config.order or "stop-first")


def _endpoint(endpoint: EndpointSpec | None) -> EndpointSpec:
    endpoint = endpoint or EndpointSpec()
    ports = sorted(endpoint.ports, key=lambda port: (port.published_port, port.target_port, port.protocol))
    return EndpointSpec(mode=endpoint.mode or "vip", ports=ports)


def _resources(resources: Resources | None) -> Resources:
    resources = resources or Resources()
    return Resources(resources.limits or Limits(), resources.reservations or Reservations())


def _restart(policy: service_spec.RestartPolicy | None) -> service_spec.RestartPolicy | None:
    if policy is None or policy == service_spec.RestartPolicy():
        return None
    return _replace(policy, condition=policy.condition or "any")
