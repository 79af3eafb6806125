"""How services meet: the networks each is on, and the names that `links` give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compose.model.project import Network, Service, ServiceNetwork

DEFAULT = "default"
HOST_MODES = ("host", "none")


def networks_of(service: Service) -> Mapping[str, ServiceNetwork]:
    """The project's networks a service is on; none for one that uses its host's network, or has none."""
    if service.network_mode in HOST_MODES:
        return {}
    return service.networks or {DEFAULT: ServiceNetwork()}


_HARMLESS = {
    "com.docker.network.bridge.name": None,
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": None,
    "com.docker.network.bridge.gateway_mode_ipv4": "nat",
    "com.docker.network.bridge.default_bridge": "false",
    "com.docker.network.container_iface_prefix": None,
    "com.docker.network.enable_ipv4": "true",
    "com.docker.network.enable_ipv6": "false",
    "com.docker.network.bridge.inhibit_ipv4": "false",
}
"""Options of Docker's bridge that no container can tell from their absence here, or with the value that is the case."""


def is_harmless(option: str, value: str) -> bool:
    """Whether a network's option asks for nothing, or for what is the case anyway."""
    return option in _HARMLESS and _HARMLESS[option] in (None, value.lower())


def service_name(stack: str, name: str) -> str:
    """A service's name in the cluster. It is a DNS label there; a name with dots stays an alias on its networks."""
    return f"{stack}_{name.replace('.', '-')}"


def network_name(name: str, network: Network, stack: str) -> str:
    """A network's name in the cluster."""
    return network.name or (name if network.external else f"{stack}_{name}")


def linked(service: Service) -> dict[str, str]:
    """Services that `links` name, with the name they are to have: "db", "db:database"."""
    return {target: alias or target for target, _, alias in (link.partition(":") for link in service.links)}


def linked_names(links: Iterable[str]) -> list[str]:
    """The services that `links` name."""
    return [link.partition(":")[0] for link in links]
