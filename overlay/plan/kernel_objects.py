"""Kernel objects as values: planned by device_plan, read by kernel_networks, compared by kernel_diff.

The `key` identifies the object in the kernel; the other fields are its settings. Equal values need no operation.
`order` is the order of creation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network's bridge, up, with netfilter on bridged packets."""

    order: ClassVar[int] = 0
    name: str
    mac: str
    mtu: int

    @property
    def key(self) -> tuple[object, ...]:
        """The name."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A network's VXLAN device: up, a port of its bridge, without learning, ARP answered from the neighbour table."""

    order: ClassVar[int] = 1
    name: str
    bridge: str
    vni: int
    port: int
    local: str
    """Underlay address packets are sent from."""
    mtu: int

    @property
    def key(self) -> tuple[object, ...]:
        """The name; no setting of a VXLAN device can be changed later."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A sandbox's interface as a port of its bridge. Never removed: it goes with the sandbox or with the bridge."""

    order: ClassVar[int] = 2
    link: str
    bridge: str
    learns: bool = False
    """Whether the bridge learns source addresses from this port. Wanted is False: static entries (Fdb) say them."""

    @property
    def key(self) -> tuple[object, ...]:
        """The link: it can be in one bridge only."""
        return (self.link,)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the host on a bridge."""

    order: ClassVar[int] = 3
    link: str
    address: str
    """With prefix length."""

    @property
    def key(self) -> tuple[object, ...]:
        """The whole value."""
        return (self.link, self.address)


@dataclass(frozen=True, slots=True)
class Fdb:
    """A forwarding entry: the port (`host` empty) or the host that a MAC address is behind.

    A VXLAN device needs both.
    """

    order: ClassVar[int] = 4
    link: str
    mac: str
    host: str

    @property
    def key(self) -> tuple[object, ...]:
        """The bridge and the VXLAN device have a table each."""
        return (self.link, self.mac, bool(self.host))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent ARP entry."""

    order: ClassVar[int] = 5
    link: str
    address: str
    mac: str

    @property
    def key(self) -> tuple[object, ...]:
        """One MAC per address and link."""
        return (self.link, self.address)


@dataclass(frozen=True, slots=True)
class Route:
    """A route through a bridge: `local` for VIP ranges (table 0), else the way back to an ingress host."""

    order: ClassVar[int] = 6
    link: str
    destination: str
    """With prefix length."""
    table: int
    """0: the kernel's table of local addresses."""
    gateway: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """One route per destination and table."""
        return (self.destination, self.table, self.link if not self.table else "")


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Packets that came in through `link` with the table's number as mark are routed by that table."""

    order: ClassVar[int] = 7
    link: str
    table: int

    @property
    def key(self) -> tuple[object, ...]:
        """The whole value."""
        return (self.link, self.table)


KernelObject = Bridge | Vxlan | BridgePort | Address | Fdb | Neighbour | Route | RoutingRule


@dataclass(frozen=True, slots=True)
class ApplyObject:
    """Create the object, or change it to these settings."""

    what: KernelObject


@dataclass(frozen=True, slots=True)
class RemoveObject:
    """Remove the object, if it exists."""

    what: KernelObject


Operation = ApplyObject | RemoveObject


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The facts about a host that its plans depend on."""

    address: str
    """Underlay address."""
    device: str
    """The link with that address; "" when unknown."""
    mtu: int
    """Of that link, in bytes."""
    vxlan_port: int
    vxlan_overhead: int = 50
    """Bytes VXLAN adds to a packet over IPv4."""
