"""The interface between the agent and the host's networks. host_networks.py implements it, and a fake in tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.errors import ArgosyError
from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment

LOCAL_BRIDGE = "bridge"
"""Id of the host's own network, for containers on no other: outbound access; inbound only published ports."""


class NetworkFailure(ArgosyError):
    """The kernel refused an operation; the message says which."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A sandbox's interface on a network. Interfaces are eth0, eth1, … in order."""

    network_id: str
    address: str
    """With prefix length."""
    aliases: tuple[str, ...] = ()
    mac: str = ""
    """MAC address; "" for the one derived from the IP address."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network namespace with its interfaces and ports."""

    id: str
    """The container's id."""
    task_id: str
    task_name: str
    service_id: str
    hostname: str
    interfaces: tuple[Interface, ...]
    """Empty: it gets an address on LOCAL_BRIDGE. The default route goes through ingress if it is there, else
    through the first network that is not internal."""
    host_ports: tuple[PortConfig, ...] = ()
    """Ports published on this host only; they lead to the interface with the default route."""
    nameservers: tuple[str, ...] = ()
    """DNS servers for names outside the cluster, instead of the host's."""
    isolated: bool = False
    """Whether it has the loopback interface only."""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """All network assignments of a host, by id (api/wire/assignments.py)."""

    networks: Mapping[str, NetworkAssignment] = field(default_factory=dict)
    services: Mapping[str, ServiceAssignment] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointAssignment] = field(default_factory=dict)
    peers: Mapping[str, PeerAssignment] = field(default_factory=dict)


class Networks(Protocol):
    """The networks of one host."""

    async def start(self) -> None:
        """Take over a former agent's networks, sandboxes (DNS is served again) and rules."""
        ...

    def update(self, view: NetworkView) -> None:
        """Set the wanted state; applied soon (changes within about 20 ms are batched), retried until it succeeds."""
        ...

    async def ready(self, network_ids: tuple[str, ...]) -> None:
        """Wait until these networks exist on the host, so that a sandbox can be opened on them."""
        ...

    async def routed(self) -> None:
        """Wait until names and load balancing follow the views given so far."""
        ...

    async def open(self, sandbox: Sandbox) -> str:
        """Make the sandbox; returns the path of its network namespace. Idempotent, also over restarts.

        Raises NetworkFailure, also for a host port that is in use.
        """
        ...

    async def close(self, id: str) -> None:
        """Remove the sandbox; no error when there is none."""
        ...

    def addresses(self, id: str) -> Mapping[str, str]:
        """Network id → address of a sandbox (LOCAL_BRIDGE among them)."""
        ...

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        """Ports published on this host for an open sandbox, with the numbers they got."""
        ...

    async def prefixes(self) -> tuple[str, ...]:
        """The IPv4 prefixes of this host's own addresses and routes, without the cluster's. Cheap."""
        ...

    async def stop(self) -> None:
        """Stop serving; everything in the kernel stays."""
        ...

    async def remove_all(self) -> None:
        """Remove everything of Argosy's from the kernel (the node leaves the cluster)."""
        ...
