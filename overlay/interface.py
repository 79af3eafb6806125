"""The network's port: what the agent knows of it. `service` stands behind it, and a fake in tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.errors import ArgosyError
from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment

LOCAL_BRIDGE = "bridge"
"""Id of the host's own network, for containers that are on no other: outbound access, nothing inbound but ports."""


class NetworkFailure(ArgosyError):
    """The kernel refused; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A sandbox's place on a network. Interfaces are eth0, eth1, … in their order."""

    network_id: str
    address: str
    """With prefix length."""
    aliases: tuple[str, ...] = ()
    mac: str = ""
    """"" for the one that follows from the address."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network namespace and what is in it."""

    id: str
    """The container's id."""
    task_id: str
    task_name: str
    service_id: str
    hostname: str
    interfaces: tuple[Interface, ...]
    """None: it gets an address on LOCAL_BRIDGE. The default route goes through ingress if it is there, else
    through the first network that is not internal."""
    host_ports: tuple[PortConfig, ...] = ()
    """Published on this host only, towards the interface that has the default route."""
    nameservers: tuple[str, ...] = ()
    """Asked instead of the host's for names that are not ours."""
    isolated: bool = False
    """It has the loopback interface and nothing else."""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """All a host is told of its networks, by id (as in api/wire/assignments.py)."""

    networks: Mapping[str, NetworkAssignment] = field(default_factory=dict)
    services: Mapping[str, ServiceAssignment] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointAssignment] = field(default_factory=dict)
    peers: Mapping[str, PeerAssignment] = field(default_factory=dict)


class Networks(Protocol):
    """The networks of one host."""

    async def start(self) -> None:
        """Take over what a former agent left: networks, sandboxes (DNS is served again), rules."""
        ...

    def update(self, view: NetworkView) -> None:
        """The newest wanted state; applied soon (changes of about 20 ms are batched), retried until it holds."""
        ...

    async def ready(self, network_ids: tuple[str, ...]) -> None:
        """Until these networks exist on the host, so that a sandbox can be put on them."""
        ...

    async def routed(self) -> None:
        """Until names and load balancing are as the views given so far want them."""
        ...

    async def open(self, sandbox: Sandbox) -> str:
        """Make the sandbox; returns the path of its network namespace. Idempotent, also over restarts.

        Raises NetworkFailure; a host port that something else holds is one.
        """
        ...

    async def close(self, id: str) -> None:
        """Remove the sandbox. Nothing happens when there is none."""
        ...

    def addresses(self, id: str) -> Mapping[str, str]:
        """Network id → address of a sandbox (LOCAL_BRIDGE among them)."""
        ...

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        """Ports published on this host for an open sandbox, with the numbers they got."""
        ...

    async def prefixes(self) -> tuple[str, ...]:
        """The IPv4 networks that this host's own addresses and routes lead to, without those of the cluster. Cheap."""
        ...

    async def stop(self) -> None:
        """Stop serving; leave everything in the kernel as it is."""
        ...

    async def remove_all(self) -> None:
        """Remove everything of ours from the kernel (the node leaves the cluster)."""
        ...
