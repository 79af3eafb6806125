"""One form for specs that mean the same, so that comparing the file's with the cluster's tells true differences."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from api import references, specs
from api.codec import Value
from api.specs import ContainerSpec, PortConfig, ServiceSpec, TaskSpec

_replace = msgspec.structs.replace


def normal(spec: ServiceSpec, names: Mapping[str, str]) -> ServiceSpec:
    """A spec with defaults said, networks, secrets and configs by name, and lists in one order.

    `names` are those of the networks, by id.
    """
    task = spec.task_template
    networks = task.networks or spec.networks
    return _replace(
        spec,
        networks=[],
        mode=_mode(spec.mode),
        update_config=_update(spec.update_config),
        rollback_config=_update(spec.rollback_config),
        endpoint_spec=_endpoint(spec.endpoint_spec),
        schedule=_empty(spec.schedule, specs.Schedule()),
        depends_on=sorted(spec.depends_on, key=lambda item: item.service),
        task_template=_replace(
            task,
            container_spec=_container(task.container_spec),
            networks=sorted(
                (_replace(item, target=names.get(item.target, item.target)) for item in networks),
                key=lambda item: item.target,
            ),
            placement=_empty(task.placement, specs.Placement()),
            resources=_resources(task.resources),
            restart_policy=_restart(task.restart_policy),
            log_driver=_empty(task.log_driver, specs.Driver()),
            runtime="" if task.runtime == "container" else task.runtime,
        ),
    )


def essence(spec: ServiceSpec) -> tuple[TaskSpec, list[PortConfig]]:
    """What of a normal spec its tasks are made from, so that they are replaced when it differs.

    As the managers see it (manager/orchestrator/deployment.py): of the placement, only platforms are in it.
    """
    task = spec.task_template
    if task.placement:
        platforms = specs.Placement(platforms=task.placement.platforms)
        task = _replace(task, placement=_empty(platforms, specs.Placement()))
    ports = spec.endpoint_spec.ports if spec.endpoint_spec else []
    return task, [port for port in ports if port.publish_mode == "host"]


def _container(spec: ContainerSpec) -> ContainerSpec:
    return _replace(
        spec,
        image=references.familiar(spec.image),
        env=sorted(spec.env),
        mounts=sorted(spec.mounts, key=lambda mount: mount.target),
        healthcheck=_empty(spec.healthcheck, specs.Healthcheck()),
        dns_config=_empty(spec.dns_config, specs.DNSConfig()),
        privileges=_empty(spec.privileges, specs.Privileges()),
        isolation="" if spec.isolation == "default" else spec.isolation,
        secrets=sorted((_replace(s, secret_id="") for s in spec.secrets), key=lambda s: (s.secret_name, _target(s))),
        configs=sorted((_replace(c, config_id="") for c in spec.configs), key=lambda c: (c.config_name, _target(c))),
    )


def _target(reference: specs.SecretReference | specs.ConfigReference) -> str:
    return reference.file.name if reference.file else ""


def _empty(part: Value | None, empty: Value) -> Value | None:
    return None if part == empty else part


def _mode(mode: specs.Mode) -> specs.Mode:
    if mode in (specs.Mode(), specs.Mode(replicated=specs.Replicated())):
        return specs.Mode(replicated=specs.Replicated(1))
    return mode


def _update(config: specs.UpdateConfig | None) -> specs.UpdateConfig | None:
    if config is None:
        return None
    return _replace(config, failure_action=config.failure_action or "pause", order=config.order or "stop-first")


def _endpoint(endpoint: specs.EndpointSpec | None) -> specs.EndpointSpec:
    endpoint = endpoint or specs.EndpointSpec()
    ports = sorted(endpoint.ports, key=lambda port: (port.published_port, port.target_port, port.protocol))
    return specs.EndpointSpec(mode=endpoint.mode or "vip", ports=ports)


def _resources(resources: specs.Resources | None) -> specs.Resources:
    resources = resources or specs.Resources()
    return specs.Resources(resources.limits or specs.Limits(), resources.reservations or specs.Reservations())


def _restart(policy: specs.RestartPolicy | None) -> specs.RestartPolicy | None:
    if policy is None or policy == specs.RestartPolicy():
        return None
    return _replace(policy, condition=policy.condition or "any")
