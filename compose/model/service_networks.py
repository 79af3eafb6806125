"""The networks of a service, and the aliases that `links` define."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compose.model.project import Network, Service, ServiceNetwork

DEFAULT = "default"
HOST_MODES = ("host", "none")


def networks_of(service: Service) -> Mapping[str, ServiceNetwork]:
    """The networks a service is attached to; empty with the network mode `host` or `none`."""
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
"""Options of Docker's bridge that make no difference here, at all (None) or with the given value."""


def is_harmless(option: str, value: str) -> bool:
    """Whether a driver option of a network makes no difference here."""
    return option in _HARMLESS and _HARMLESS[option] in (None, value.lower())


def service_name(stack: str, name: str) -> str:
    """A service's name in the cluster: a DNS label. The short name, also with dots, is an alias on its networks."""
    return f"{stack}_{name.replace('.', '-')}"


def network_name(name: str, network: Network, stack: str) -> str:
    """A network's name in the cluster."""
    return network.name or (name if network.external else f"{stack}_{name}")


def linked(service: Service) -> dict[str, str]:
    """The services in `links` with the alias of each: "db", "db:database"."""
    return {target: alias or target for target, _, alias in (link.partition(":") for link in service.links)}


def linked_names(links: Iterable[str]) -> list[str]:
    """The services in `links`."""
    return [link.partition(":")[0] for link in links]
