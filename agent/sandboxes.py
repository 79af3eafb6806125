"""From orders to plans: the container and the sandbox a task asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.runtime.base import ContainerPlan, Image, container_id
from api.assignment import SpecOrder, TaskOrder
from api.objects import PortStatus
from api.specs import PortConfig
from overlay.base import Interface, Sandbox

HOST_NETWORK = "host"
"""Target of a service that uses its host's own network."""
SHORT_ID = 12


def uses_host_network(spec: SpecOrder) -> bool:
    """Whether the container gets no network namespace of its own."""
    return any(network.target == HOST_NETWORK for network in spec.task.networks)


def hostname_of(order: TaskOrder, spec: SpecOrder) -> str:
    """The container's host name: as asked for, or (Docker's default) the start of its id."""
    return spec.task.container_spec.hostname or container_id(order.id)[:SHORT_ID]


def labels_of(order: TaskOrder, spec: SpecOrder, node_id: str) -> dict[str, str]:
    """The container's labels: the spec's, and those by which Docker's tools know a task's container."""
    return {
        **spec.task.container_spec.labels,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": order.id,
        "com.docker.swarm.task.name": order.name,
        "com.docker.swarm.node.id": node_id,
        "com.docker.swarm.service.id": order.service_id,
        "com.docker.swarm.service.name": order.service_name,
    }


def sandbox_of(order: TaskOrder, spec: SpecOrder) -> Sandbox:
    """The network namespace a task asks for."""
    dns = spec.task.container_spec.dns_config
    return Sandbox(
        id=container_id(order.id),
        task_id=order.id,
        task_name=order.name,
        service_id=order.service_id,
        hostname=hostname_of(order, spec),
        interfaces=tuple(Interface(a.network_id, a.address, tuple(a.aliases)) for a in order.attachments),
        host_ports=tuple(spec.host_ports),
        nameservers=tuple(dns.nameservers) if dns else (),
    )


def networks_of(order: TaskOrder) -> tuple[str, ...]:
    """Ids of the networks a task is on."""
    return tuple(attachment.network_id for attachment in order.attachments)


def container_of(
    order: TaskOrder, spec: SpecOrder, node_id: str, image: Image, netns: str, addresses: Mapping[str, str]
) -> ContainerPlan:
    """The container a task asks for, in the namespace at `netns` with these addresses (with or without prefix)."""
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
        hosts=(*spec.task.container_spec.hosts, *own),
    )


def ports_of(held: Iterable[PortConfig]) -> tuple[PortStatus, ...]:
    """The host's own ports a task holds, for its status."""
    return tuple(PortStatus(port.protocol, port.target_port, port.published_port) for port in held)
