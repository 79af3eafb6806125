"""Phase 13: the network attachments of a service, with its aliases and addresses."""

from __future__ import annotations

from api.service import service_spec
from compose.model.project import Network, Project, Service
from compose.model.service_networks import HOST_MODES, linked, network_name, networks_of


def attachments(name: str, service: Service, project: Project, stack: str) -> list[service_spec.NetworkTarget]:
    """The networks to attach a service's tasks to."""
    if service.network_mode in HOST_MODES:
        return [service_spec.NetworkTarget(target=service.network_mode)]
    wanted = networks_of(service)
    return [
        service_spec.NetworkTarget(
            target=network_name(key, project.networks.get(key, Network()), stack),
            aliases=list(dict.fromkeys([*use.aliases, name, *_further_names(name, key, service, project)])),
            ipv4_address=use.ipv4_address,
            mac_address=use.mac_address or (service.mac_address if len(wanted) == 1 else ""),
        )
        for key, use in sorted(wanted.items())
    ]


def _further_names(name: str, network: str, service: Service, project: Project) -> list[str]:
    """Further aliases: its `container_name`, and the names that other services on the network give it in `links`."""
    names = [service.container_name] if service.container_name else []
    for other in project.services.values():
        if other.links and network in networks_of(other) and name in linked(other):
            names.append(linked(other)[name])
    return names
