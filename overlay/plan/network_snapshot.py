"""One network with its services, endpoints and peers, as one value.

A view lists networks, services, endpoints and peers side by side; plans, rules and names are made per network.
Snapshots are compared to find the networks that changed. An unchanged one holds the same objects: that is cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol, TypeVar

from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from overlay.interface import LOCAL_BRIDGE, NetworkView


@dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """One network of this host."""

    network: NetworkAssignment
    services: tuple[ServiceAssignment, ...] = ()
    endpoints: tuple[EndpointAssignment, ...] = ()
    peers: tuple[PeerAssignment, ...] = ()

    @property
    def ingress(self) -> bool:
        """Whether published ports lead into this network."""
        return is_ingress(self.network)

    def ready(self, service_id: str) -> tuple[str, ...]:
        """Addresses of the service's ready endpoints, in a stable order."""
        return tuple(e.address for e in self.endpoints if e.ready and e.service_id == service_id)


class _OnNetwork(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def network_id(self) -> str: ...


T = TypeVar("T", bound=_OnNetwork)


def is_ingress(network: NetworkAssignment) -> bool:
    """Whether the network is the routing mesh's."""
    return network.ingress


def snapshots(view: NetworkView) -> dict[str, NetworkSnapshot]:
    """A snapshot of each network in the view, by id. Entries of networks that are not in the view are left out."""
    services = _by_network(view.services.values())
    endpoints = _by_network(view.endpoints.values())
    peers = _by_network(view.peers.values())
    return {
        id: NetworkSnapshot(network, services.get(id, ()), endpoints.get(id, ()), peers.get(id, ()))
        for id, network in view.networks.items()
    }


def lasting_addresses(snapshots: Iterable[NetworkSnapshot]) -> frozenset[str]:
    """Addresses of all endpoints, ready or not, without those on lost hosts: their connections are over."""
    return frozenset(e.address for snapshot in snapshots for e in snapshot.endpoints if not e.lost)


def ready_addresses(snapshots: Iterable[NetworkSnapshot]) -> frozenset[str]:
    """Addresses of all endpoints that take new connections."""
    return frozenset(e.address for snapshot in snapshots for e in snapshot.endpoints if e.ready)


def local_snapshot(subnet: str, gateway: str, mtu: int) -> NetworkSnapshot:
    """The host's own network (LOCAL_BRIDGE): no VXLAN, no services."""
    return NetworkSnapshot(
        NetworkAssignment(id=LOCAL_BRIDGE, name="bridge", vni=0, subnet=subnet, vip_range="", gateway=gateway, mtu=mtu)
    )


def _by_network(values: Iterable[T]) -> Mapping[str, tuple[T, ...]]:
    ordered = sorted(values, key=attrgetter("network_id", "id"))
    return {id: tuple(group) for id, group in groupby(ordered, key=attrgetter("network_id"))}
