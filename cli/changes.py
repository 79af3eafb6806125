"""What a deploy has to do: a pure comparison of a stack with what the cluster has of it.

Deploying twice changes nothing: specs are compared in one form, in which what means the same is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from api import references, specs
from api.codec import Value
from api.errors import Invalid
from api.specs import NetworkSpec, ServiceSpec
from cli.views import Network, Service
from compose.stack import IMAGE, NAMESPACE, Stack, StackService

Resolve = Literal["always", "changed", "never"]
_replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One service: to create, to update, or to leave."""

    service: StackService
    spec: ServiceSpec
    """As it is to be sent."""
    current: Service | None = None
    is_changed: bool = True

    @property
    def verb(self) -> str:
        """For people."""
        if self.current is None:
            return "create"
        return "update" if self.is_changed else "unchanged"


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything a deploy does, in its order: networks, services, and what is pruned."""

    networks: tuple[NetworkSpec, ...] = ()
    services: tuple[ServiceChange, ...] = ()
    prune: tuple[Service, ...] = ()

    def lines(self) -> list[str]:
        """For --dry-run."""
        return [
            *(f"create network {spec.name}" for spec in self.networks),
            *(f"{change.verb} service {change.spec.name}" for change in self.services),
            *(f"remove service {service.spec.name}" for service in self.prune),
        ]


def plan(
    stack: Stack,
    services: Sequence[Service],
    networks: Sequence[Network],
    *,
    prune: bool = False,
    resolve: Resolve = "changed",
) -> Changes:
    """Compare. `networks` are all of the cluster's. Raises Invalid when a network cannot become what the file says."""
    names = {network.id: network.name for network in networks}
    by_name = {network.name: network for network in networks if network.scope != "local"}
    present = {service.spec.name: service for service in services}
    wanted = {item.spec.name for item in stack.services}
    missing = [name for name in stack.external_networks if name not in {network.name for network in networks}]
    problems = [f"network {name} is external and does not exist; create it first" for name in missing]
    problems += [text for spec in stack.networks if (text := _network_problem(spec, by_name.get(spec.name), stack))]
    if problems:
        raise Invalid("\n".join(problems))
    return Changes(
        networks=tuple(spec for spec in stack.networks if spec.name not in by_name),
        services=tuple(_service(item, present.get(item.spec.name), names, resolve) for item in stack.services),
        prune=tuple(service for service in services if prune and service.spec.name not in wanted),
    )


def _service(item: StackService, current: Service | None, names: Mapping[str, str], resolve: Resolve) -> ServiceChange:
    spec = item.spec
    if current is None:
        return ServiceChange(item, spec)
    old_task, task = current.spec.task_template, spec.task_template
    is_same_image = current.spec.labels.get(IMAGE) == spec.labels.get(IMAGE)
    if is_same_image and resolve != "always":
        container = _replace(task.container_spec, image=old_task.container_spec.image)
        task = _replace(task, container_spec=container)
    task = _replace(task, force_update=old_task.force_update)
    spec = _replace(spec, task_template=task)
    return ServiceChange(item, spec, current, is_changed=normal(spec, names) != normal(current.spec, names))


def normal(spec: ServiceSpec, names: Mapping[str, str]) -> ServiceSpec:
    """A spec in the form in which specs are compared: defaults said, networks by name, lists in one order."""
    task = spec.task_template
    container = task.container_spec
    networks = task.networks or spec.networks
    return _replace(
        spec,
        networks=[],
        mode=_mode(spec.mode),
        update_config=_update(spec.update_config),
        rollback_config=_update(spec.rollback_config),
        endpoint_spec=_endpoint(spec.endpoint_spec),
        task_template=_replace(
            task,
            container_spec=_replace(
                container,
                image=references.familiar(container.image),
                env=sorted(container.env),
                mounts=sorted(container.mounts, key=lambda mount: mount.target),
                healthcheck=_empty(container.healthcheck, specs.Healthcheck()),
                dns_config=_empty(container.dns_config, specs.DNSConfig()),
                privileges=_empty(container.privileges, specs.Privileges()),
                isolation="" if container.isolation == "default" else container.isolation,
            ),
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


def _network_problem(spec: NetworkSpec, network: Network | None, stack: Stack) -> str:
    """Networks are never changed in place: tasks are on them. What differs is said, not passed over."""
    if network is None:
        return ""
    if (network.labels or {}).get(NAMESPACE) != stack.name:
        return (
            f"network {spec.name} exists and is not of stack {stack.name}; say `external: true`, or choose another name"
        )
    subnets = [part.subnet for part in spec.ipam.config if part.subnet]
    pairs = {
        "internal": (spec.internal, network.internal),
        "attachable": (spec.attachable, network.attachable),
        "driver_opts": (spec.options, {k: (network.options or {}).get(k) for k in spec.options}),
        "ipam": (subnets, [part.subnet for part in network.ipam.config or []] if subnets else []),
    }
    differing = [name for name, (wanted, present) in pairs.items() if wanted != present]
    if not differing:
        return ""
    return f"network {spec.name} exists with other {' and '.join(differing)}; remove the stack first to have it changed"
