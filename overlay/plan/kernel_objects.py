"""Kernel objects as values: what the plan wants, what netlink reads, what the diff compares.

Each has a `key` (what it is, for the kernel) and the rest (how it is). Equal values need nothing done.
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
        """Bridges are told apart by name."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A network's VXLAN device, up, a port of its bridge that learns nothing and answers ARP from the tables."""

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
        """VXLAN devices are told apart by name; none of their settings can be changed later."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A sandbox's interface is plugged into its bridge. Never removed: it goes with the sandbox, or with the bridge."""

    order: ClassVar[int] = 2
    link: str
    bridge: str
    learns: bool = False
    """Whether the bridge believes the source addresses that come in; it is told them (Fdb) instead."""

    @property
    def key(self) -> tuple[object, ...]:
        """A link is in one bridge."""
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
    """Which port (`host` empty) or which host a MAC address is behind; a VXLAN device needs both."""

    order: ClassVar[int] = 4
    link: str
    mac: str
    host: str

    @property
    def key(self) -> tuple[object, ...]:
        """The bridge's and the VXLAN device's tables are two."""
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
    """Packets that came in through `link` and bear the table's number as mark are routed by that table."""

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
    """Make the object so, whether it exists or not."""

    what: KernelObject


@dataclass(frozen=True, slots=True)
class RemoveObject:
    """See that the object is gone."""

    what: KernelObject


Operation = ApplyObject | RemoveObject


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the plan must know of the host."""

    address: str
    """Underlay address."""
    device: str
    """The link that has it; "" when unknown."""
    mtu: int
    """Of that link, in bytes."""
    vxlan_port: int
    vxlan_overhead: int = 50
    """Bytes VXLAN adds to a packet over IPv4."""
