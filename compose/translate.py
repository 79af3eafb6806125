"""Phase 9: from the project to the networks and services of a stack."""

from __future__ import annotations

from api import specs
from compose import model
from compose.container import container_spec, log_driver, strings
from compose.model import Project, Service
from compose.order import ordered
from compose.security import parse_platform, parse_restart
from compose.stack import IMAGE, NAMESPACE, Stack, StackService, Wait

NANO = 1_000_000_000
DEFAULT = "default"


def translate(project: Project, stack: str) -> Stack:
    """Everything the stack wants. Networks that no service is on are not made."""
    used = sorted({name for service in project.services.values() for name in service.networks or (DEFAULT,)})
    networks = {name: project.networks.get(name, model.Network()) for name in used}
    edges = {name: list(service.depends_on) for name, service in project.services.items()}
    return Stack(
        name=stack,
        networks=tuple(_network(name, net, stack) for name, net in networks.items() if not net.external),
        external_networks=tuple(net.name or name for name, net in networks.items() if net.external),
        services=tuple(_stack_service(name, project, stack) for name in ordered(edges)),
    )


def _network(name: str, network: model.Network, stack: str) -> specs.NetworkSpec:
    ipam = network.ipam
    return specs.NetworkSpec(
        name=_network_name(name, network, stack),
        driver=network.driver if network.driver not in ("", "default") else "overlay",
        internal=network.internal,
        attachable=network.attachable,
        ipam=specs.IPAM(
            driver=ipam.driver,
            options=strings(ipam.options) or None,
            config=[
                specs.IPAMConfig(part.subnet, part.ip_range, part.gateway, strings(part.aux_addresses))
                for part in ipam.config
            ],
        ),
        options=strings(network.driver_opts),
        labels=strings(network.labels) | {NAMESPACE: stack},
    )


def _network_name(name: str, network: model.Network, stack: str) -> str:
    return network.name or (name if network.external else f"{stack}_{name}")


def _stack_service(name: str, project: Project, stack: str) -> StackService:
    service = project.services[name]
    after = tuple(Wait(target, how.condition, how.required) for target, how in service.depends_on.items())
    return StackService(name, _service(name, service, project, stack), after)


def _service(name: str, service: Service, project: Project, stack: str) -> specs.ServiceSpec:
    deploy = service.deploy
    return specs.ServiceSpec(
        name=f"{stack}_{name}",
        labels=strings(deploy.labels) | {NAMESPACE: stack, IMAGE: service.image},
        task_template=specs.TaskSpec(
            container_spec=container_spec(service, project, stack),
            resources=_resources(service),
            restart_policy=_restart(service),
            placement=_placement(service),
            networks=_attachments(name, service, project, stack),
            log_driver=log_driver(service.logging),
        ),
        mode=_mode(service),
        update_config=_update(deploy.update_config),
        rollback_config=_update(deploy.rollback_config),
        endpoint_spec=_endpoint(service),
    )


def _attachments(name: str, service: Service, project: Project, stack: str) -> list[specs.NetworkTarget]:
    wanted = service.networks or {DEFAULT: model.ServiceNetwork()}
    return [
        specs.NetworkTarget(
            target=_network_name(key, project.networks.get(key, model.Network()), stack),
            aliases=list(dict.fromkeys([*use.aliases, name])),
            driver_opts=strings(use.driver_opts),
        )
        for key, use in sorted(wanted.items())
    ]


def _endpoint(service: Service) -> specs.EndpointSpec | None:
    ports = [
        specs.PortConfig(
            name=port.name,
            protocol=port.protocol,  # type: ignore[arg-type]
            target_port=port.target,
            published_port=int(port.published or 0),
            publish_mode=port.mode,  # type: ignore[arg-type]
        )
        for port in service.ports
    ]
    if not ports and not service.deploy.endpoint_mode:
        return None
    ports.sort(key=lambda port: (port.published_port, port.target_port, port.protocol))
    return specs.EndpointSpec(mode=service.deploy.endpoint_mode, ports=ports)  # type: ignore[arg-type]


def _mode(service: Service) -> specs.Mode:
    deploy = service.deploy
    replicas = deploy.replicas if deploy.replicas is not None else service.scale
    if deploy.mode == "global":
        return specs.Mode(global_=specs.EmptyMode())
    if deploy.mode == "global-job":
        return specs.Mode(global_job=specs.EmptyMode())
    if deploy.mode == "replicated-job":
        return specs.Mode(replicated_job=specs.ReplicatedJob(max_concurrent=replicas, total_completions=replicas))
    return specs.Mode(replicated=specs.Replicated(replicas))


def _resources(service: Service) -> specs.Resources | None:
    """`cpus`, `mem_limit` and their like are other words for parts of deploy.resources."""
    limits = service.deploy.resources.limits or model.Limits()
    reserved = service.deploy.resources.reservations or model.Reservations()
    upper = specs.Limits(
        nano_cpus=round((limits.cpus or service.cpus) * NANO),
        memory_bytes=limits.memory or service.mem_limit,
        pids=max(limits.pids or service.pids_limit, 0),
    )
    lower = specs.Reservations(
        nano_cpus=round(reserved.cpus * NANO),
        memory_bytes=reserved.memory or service.mem_reservation,
        generic_resources=[
            specs.GenericResource(
                discrete_resource_spec=specs.DiscreteResource(
                    item.discrete_resource_spec.kind, item.discrete_resource_spec.value
                )
            )
            for item in reserved.generic_resources
            if item.discrete_resource_spec
        ],
    )
    if upper == specs.Limits() and lower == specs.Reservations():
        return None
    return specs.Resources(
        limits=upper if upper != specs.Limits() else None,
        reservations=lower if lower != specs.Reservations() else None,
    )


def _restart(service: Service) -> specs.RestartPolicy | None:
    """deploy.restart_policy counts before `restart`, as the specification says."""
    policy = service.deploy.restart_policy
    if policy is None:
        return parse_restart(service.restart)
    return specs.RestartPolicy(
        condition=policy.condition,  # type: ignore[arg-type]
        delay=policy.delay,
        max_attempts=policy.max_attempts,
        window=policy.window,
    )


def _placement(service: Service) -> specs.Placement | None:
    placement = service.deploy.placement or model.Placement()
    result = specs.Placement(
        constraints=placement.constraints,
        preferences=[specs.Preference(specs.SpreadOver(item.spread)) for item in placement.preferences],
        max_replicas=placement.max_replicas_per_node,
        platforms=[parse_platform(service.platform)] if service.platform else [],
    )
    return result if result != specs.Placement() else None


def _update(update: model.Update | None) -> specs.UpdateConfig | None:
    if update is None:
        return None
    return specs.UpdateConfig(
        parallelism=update.parallelism,
        delay=update.delay,
        failure_action=update.failure_action,  # type: ignore[arg-type]
        monitor=update.monitor,
        max_failure_ratio=update.max_failure_ratio,
        order=update.order,  # type: ignore[arg-type]
    )
