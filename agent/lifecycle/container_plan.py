"""Container plans and sandboxes, made from a task's assignment and spec. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from agent.runtime.interface import ContainerPlan, Image, PlannedFile, RuntimeFailure, container_id
from api.errors import Invalid
from api.objects.observed import PortStatus
from api.service.container_validation import HOST_GATEWAY
from api.service.ports import PortConfig
from api.service.resources import GenericResource
from api.service.templates import TemplateContext, expanded, has_templates
from api.wire.assignments import SpecAssignment, TaskAssignment
from overlay.interface import Interface, Sandbox

NO_NETWORK = "none"
"""Network target of a service whose containers have only a loopback interface."""
HOST_NETWORK = "host"
"""Network target of a service whose containers use the host's network namespace."""
SHORT_ID = 12


def uses_host_network(spec: SpecAssignment) -> bool:
    """Whether the container shares the host's network namespace."""
    return any(network.target == HOST_NETWORK for network in spec.task.networks)


def spec_for(
    order: TaskAssignment, spec: SpecAssignment, node_id: str, hostname: str, architecture: str
) -> SpecAssignment:
    """The spec with its templates expanded for this task on this host. Raises RuntimeFailure."""
    container = spec.task.container_spec
    if not has_templates(container):
        return spec
    context = TemplateContext(
        service_id=order.service_id,
        service_name=order.service_name,
        service_labels=spec.service_labels,
        node_id=node_id,
        hostname=hostname,
        architecture=architecture,
        task_id=order.id,
        task_name=order.name,
        slot=order.slot,
    )
    try:
        return replace(spec, task=replace(spec.task, container_spec=expanded(container, context)))
    except Invalid as error:
        raise RuntimeFailure(str(error)) from None


def resource_variables(given: Iterable[GenericResource]) -> tuple[str, ...]:
    """Environment variables that name the generic resources of a task (format: swarmkit genericresource EnvFormat)."""
    values: dict[str, list[str]] = {}
    for resource in given:
        if named := resource.named_resource_spec:
            values.setdefault(named.kind, []).append(named.value)
        elif counted := resource.discrete_resource_spec:
            values.setdefault(counted.kind, []).append(str(counted.value))
    return tuple(f"DOCKER_RESOURCE_{kind.upper()}={','.join(items)}" for kind, items in sorted(values.items()))


def hostname_of(order: TaskAssignment, spec: SpecAssignment) -> str:
    """The container's host name: the spec's, else (as in Docker) the first 12 characters of the container id."""
    return spec.task.container_spec.hostname or container_id(order.id)[:SHORT_ID]


def labels_of(order: TaskAssignment, spec: SpecAssignment, node_id: str) -> dict[str, str]:
    """The container's labels: the spec's, and those by which Docker's tools recognise a task's container."""
    return {
        **spec.task.container_spec.labels,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": order.id,
        "com.docker.swarm.task.name": order.name,
        "com.docker.swarm.node.id": node_id,
        "com.docker.swarm.service.id": order.service_id,
        "com.docker.swarm.service.name": order.service_name,
    }


def sandbox_of(order: TaskAssignment, spec: SpecAssignment) -> Sandbox:
    """The sandbox of a task."""
    dns = spec.task.container_spec.dns_config
    return Sandbox(
        id=container_id(order.id),
        task_id=order.id,
        task_name=order.name,
        service_id=order.service_id,
        hostname=hostname_of(order, spec),
        interfaces=tuple(
            Interface(a.network_id, a.address, tuple(a.aliases), a.mac_address) for a in order.attachments
        ),
        host_ports=tuple(spec.host_ports),
        nameservers=tuple(dns.nameservers) if dns else (),
        isolated=any(network.target == NO_NETWORK for network in spec.task.networks),
    )


def networks_of(order: TaskAssignment) -> tuple[str, ...]:
    """Ids of the networks a task is attached to."""
    return tuple(attachment.network_id for attachment in order.attachments)


def container_of(
    order: TaskAssignment,
    spec: SpecAssignment,
    node_id: str,
    image: Image,
    netns: str,
    addresses: Mapping[str, str],
    files: tuple[PlannedFile, ...] = (),
    host: str = "",
) -> ContainerPlan:
    """The container of a task, in the network namespace at `netns` with these addresses (with or without prefix)."""
    hostname = hostname_of(order, spec)
    own = [f"{address.partition('/')[0]} {hostname}" for address in addresses.values()]
    return ContainerPlan(
        id=container_id(order.id),
        name=order.name,
        task_id=order.id,
        image=image,
        spec=spec.task,
        labels=labels_of(order, spec, node_id),
        hostname=hostname,
        netns=netns,
        hosts=(*_host_lines(spec.task.container_spec.hosts, host), *own),
        files=files,
        env=resource_variables(order.generic_resources),
    )


def _host_lines(lines: Iterable[str], host: str) -> Iterator[str]:
    """Lines for /etc/hosts, with `host-gateway` replaced by the host's address."""
    for line in lines:
        address, _, names = line.partition(" ")
        yield f"{host} {names}" if address == HOST_GATEWAY and host else line


def ports_of(held: Iterable[PortConfig]) -> tuple[PortStatus, ...]:
    """The host ports that a task's sandbox holds, as its status reports them."""
    return tuple(PortStatus(port.protocol, port.target_port, port.published_port, port.host_ip) for port in held)
