"""Phase 13: translate the project to the networks, secrets, configs and services of a stack."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal

import msgspec

from api.network.network_spec import IPAM, IPAMConfig, NetworkSpec
from api.service import service_spec
from api.service.mode import Mode, ModeKind
from api.service.placement import Placement, Preference, SpreadOver
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import DiscreteResource, GenericResource, Limits, Reservations, Resources
from api.service.schedule import Schedule
from compose.model import deploy_model
from compose.model import project as model
from compose.model.project import Project, Service
from compose.model.service_graph import ordered
from compose.model.service_networks import is_harmless, linked, network_name, networks_of, service_name
from compose.model.stack import (
    DIGEST,
    IMAGE,
    NAMESPACE,
    SHORT_NAME,
    Stack,
    StackFile,
    StackService,
    digest_of,
)
from compose.phases.file_contents import SECCOMP
from compose.read.option_syntax import parse_platform, parse_restart
from compose.translate.container_spec import container_spec, log_driver, strings
from compose.translate.init_jobs import init_jobs
from compose.translate.network_targets import attachments

NANO = 1_000_000_000
_CONDITIONS: dict[str, Literal["started", "healthy", "completed"]] = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}


def translate(project: Project, stack: str, contents: Mapping[tuple[str, str], bytes]) -> Stack:
    """The stack of a project. Networks, secrets and configs that no service uses are left out."""
    used = sorted({name for service in project.services.values() for name in networks_of(service)})
    networks = {name: project.networks.get(name, model.Network()) for name in used}
    secrets, secret_names = _files("secrets", project.secrets, stack, contents)
    configs, config_names = _files("configs", project.configs, stack, contents)
    profiles = {
        (kind, path): base64.b64encode(data).decode() for (kind, path), data in contents.items() if kind == SECCOMP
    }
    names = secret_names | config_names | profiles
    edges = {name: [*service.depends_on, *linked(service)] for name, service in project.services.items()}
    return Stack(
        name=stack,
        networks=tuple(_network(name, net, stack) for name, net in networks.items() if not net.external),
        external_networks=tuple(net.name or name for name, net in networks.items() if net.external),
        services=tuple(
            part
            for name in ordered(edges)
            for part in init_jobs(_stack_service(name, project, stack, names), project.services[name])
        ),
        secrets=secrets,
        configs=configs,
        external_secrets=_external_files("secrets", project),
        external_configs=_external_files("configs", project),
    )


def _files(
    kind: str, defined: Mapping[str, model.File], stack: str, contents: Mapping[tuple[str, str], bytes]
) -> tuple[tuple[StackFile, ...], dict[tuple[str, str], str]]:
    """The files to create, and the full names of all (also external ones) by kind and short name."""
    made: list[StackFile] = []
    names: dict[tuple[str, str], str] = {}
    for name, file in sorted(defined.items()):
        names[kind, name] = file.name or name
        data = contents.get((kind, name))
        if data is None or file.external:
            continue
        base = file.name or f"{stack}_{name}"
        digest = digest_of(data, is_secret=kind == "secrets", salt=base)
        names[kind, name] = f"{base}-{digest}"
        labels = {**strings(file.labels), NAMESPACE: stack, SHORT_NAME: name, DIGEST: digest}
        made.append(StackFile(name, f"{base}-{digest}", data, labels))
    return tuple(made), names


def _external_files(kind: str, project: Project) -> tuple[str, ...]:
    defined: Mapping[str, model.File] = getattr(project, kind)
    used = {use.source for service in project.services.values() for use in getattr(service, kind)}
    return tuple(defined[name].name or name for name in sorted(used) if defined[name].external)


def _network(name: str, network: model.Network, stack: str) -> NetworkSpec:
    ipam = network.ipam
    return NetworkSpec(
        name=network_name(name, network, stack),
        driver=network.driver if network.driver not in ("", "default", "bridge") else "overlay",
        internal=network.internal,
        attachable=network.attachable,
        ipam=IPAM(
            driver=ipam.driver,
            config=[
                IPAMConfig(part.subnet, part.ip_range, part.gateway, strings(part.aux_addresses))
                for part in ipam.config
            ],
        ),
        options={
            option: value for option, value in strings(network.driver_opts).items() if not is_harmless(option, value)
        },
        labels=strings(network.labels) | {NAMESPACE: stack},
    )


def _stack_service(name: str, project: Project, stack: str, files: Mapping[tuple[str, str], str]) -> StackService:
    service = project.services[name]
    return StackService(name, _service(name, service, project, stack, files))


def _service(
    name: str, service: Service, project: Project, stack: str, files: Mapping[tuple[str, str], str]
) -> service_spec.ServiceSpec:
    deploy = service.deploy
    return service_spec.ServiceSpec(
        name=service_name(stack, name),
        labels=strings(deploy.labels) | {NAMESPACE: stack, IMAGE: model.image_of(stack, name, service)},
        task_template=service_spec.TaskSpec(
            container_spec=container_spec(name, service, project, stack, files),
            resources=_resources(service),
            restart_policy=_restart(name, service, project),
            placement=_placement(service),
            networks=attachments(name, service, project, stack),
            log_driver=log_driver(service.logging),
        ),
        mode=_mode(service),
        update_config=_update(deploy.update_config),
        rollback_config=_update(deploy.rollback_config),
        endpoint_spec=_endpoint(service),
        depends_on=_dependencies(service, project, stack),
        schedule=_schedule(service.schedule),
    )


def _schedule(schedule: deploy_model.Schedule | None) -> Schedule | None:
    """The schedule of `x-argosy-schedule`. Equivalent labels stay labels; the managers read them."""
    if schedule is None:
        return None
    return Schedule(
        cron=schedule.cron,
        time_zone=schedule.timezone,
        overlap=schedule.overlap,
        missed_window=schedule.missed_window,
        active_deadline=schedule.active_deadline,
        history=schedule.history,
        suspend=schedule.suspend,
    )


def _dependencies(service: Service, project: Project, stack: str) -> list[service_spec.Dependency]:
    """The dependencies that the managers wait for, without services left out because of their profile.

    A service also depends on those in its `links`, as in Docker Compose.
    """
    wanted = {target: model.Dependency("service_started") for target in linked(service)} | service.depends_on
    return [
        service_spec.Dependency(
            service=service_name(stack, target),
            condition=_CONDITIONS[how.condition],
            restart=how.restart,
            optional=not how.required,
        )
        for target, how in sorted(wanted.items())
        if target in project.services
    ]


def _endpoint(service: Service) -> EndpointSpec | None:
    ports = [
        PortConfig(
            name=port.name,
            protocol=port.protocol,
            target_port=port.target,
            published_port=int(port.published or 0),
            publish_mode=port.mode,
            host_ip=port.host_ip,
        )
        for port in service.ports
    ]
    if not ports and not service.deploy.endpoint_mode:
        return None
    ports.sort(key=lambda port: (port.published_port, port.target_port, port.protocol))
    return EndpointSpec(mode=service.deploy.endpoint_mode, ports=ports)


def _mode(service: Service) -> Mode:
    deploy = service.deploy
    replicas = deploy.replicas if deploy.replicas is not None else service.scale
    return Mode.of(deploy.mode, replicas, replicas)


def _resources(service: Service) -> Resources | None:
    """Limits and reservations. `cpus`, `mem_limit` and similar are older spellings of parts of deploy.resources."""
    limits = service.deploy.resources.limits or deploy_model.Limits()
    reserved = service.deploy.resources.reservations or deploy_model.Reservations()
    upper = Limits(
        nano_cpus=round((limits.cpus or service.cpus) * NANO),
        memory_bytes=limits.memory or service.mem_limit,
        pids=limits.pids or service.pids_limit,
    )
    lower = Reservations(
        nano_cpus=round(reserved.cpus * NANO),
        memory_bytes=reserved.memory or service.mem_reservation,
        generic_resources=[
            GenericResource(
                discrete_resource_spec=DiscreteResource(
                    item.discrete_resource_spec.kind, item.discrete_resource_spec.value
                )
            )
            for item in reserved.generic_resources
            if item.discrete_resource_spec
        ],
    )
    if upper == Limits() and lower == Reservations():
        return None
    return Resources(
        limits=upper if upper != Limits() else None,
        reservations=lower if lower != Reservations() else None,
    )


def _restart(name: str, service: Service, project: Project) -> service_spec.RestartPolicy | None:
    """The restart policy. deploy.restart_policy takes precedence over `restart`, as the specification says.

    A service with neither that others wait for until it completes runs once.
    """
    policy = service.deploy.restart_policy
    is_awaited = any(
        name in other.depends_on and other.depends_on[name].condition == "service_completed_successfully"
        for other in project.services.values()
    )
    if is_awaited and not service.restart and not ModeKind(service.deploy.mode).is_job:
        if policy is None:
            return service_spec.RestartPolicy(condition="none")
        if not policy.condition:
            policy = msgspec.structs.replace(policy, condition="none")
    if policy is None:
        return parse_restart(service.restart)
    return service_spec.RestartPolicy(
        condition=policy.condition,
        delay=policy.delay,
        max_attempts=policy.max_attempts,
        window=policy.window,
    )


def _placement(service: Service) -> Placement | None:
    placement = service.deploy.placement or deploy_model.Placement()
    result = Placement(
        constraints=placement.constraints,
        preferences=[Preference(SpreadOver(item.spread)) for item in placement.preferences],
        max_replicas=placement.max_replicas_per_node,
        platforms=[parse_platform(service.platform)] if service.platform else [],
    )
    return result if result != Placement() else None


def _update(update: deploy_model.Update | None) -> service_spec.UpdateConfig | None:
    if update is None:
        return None
    return service_spec.UpdateConfig(
        parallelism=1 if update.parallelism is None else update.parallelism,
        delay=update.delay,
        failure_action=update.failure_action,
        monitor=update.monitor,
        max_failure_ratio=update.max_failure_ratio,
        order=update.order,
    )
