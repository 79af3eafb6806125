"""Phase 13, how services meet: the networks each is on, with its names and addresses there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api import specs
from compose.model import Network, Project, Service, ServiceNetwork

DEFAULT = "default"
HOST_MODES = ("host", "none")


def networks_of(service: Service) -> Mapping[str, ServiceNetwork]:
    """The project's networks a service is on; none for one that uses its host's network, or has none."""
    if service.network_mode in HOST_MODES:
        return {}
    return service.networks or {DEFAULT: ServiceNetwork()}


def network_name(name: str, network: Network, stack: str) -> str:
    """A network's name in the cluster."""
    return network.name or (name if network.external else f"{stack}_{name}")


def linked(service: Service) -> dict[str, str]:
    """Services that `links` name, with the name they are to have: "db", "db:database"."""
    return {target: alias or target for target, _, alias in (link.partition(":") for link in service.links)}


def linked_names(links: Iterable[str]) -> list[str]:
    """The services that `links` name."""
    return [link.partition(":")[0] for link in links]


def attachments(name: str, service: Service, project: Project, stack: str) -> list[specs.NetworkTarget]:
    """The networks of a service's tasks."""
    if service.network_mode in HOST_MODES:
        return [specs.NetworkTarget(target=service.network_mode)]
    wanted = networks_of(service)
    return [
        specs.NetworkTarget(
            target=network_name(key, project.networks.get(key, Network()), stack),
            aliases=list(dict.fromkeys([*use.aliases, name, *_further_names(name, key, service, project)])),
            ipv4_address=use.ipv4_address,
            mac_address=use.mac_address or (service.mac_address if len(wanted) == 1 else ""),
        )
        for key, use in sorted(wanted.items())
    ]


def _further_names(name: str, network: str, service: Service, project: Project) -> list[str]:
    """Its `container_name`, and what others on the network call it in their `links`."""
    names = [service.container_name] if service.container_name else []
    for other in project.services.values():
        if other.links and network in networks_of(other) and name in linked(other):
            names.append(linked(other)[name])
    return names
