"""Names and numbers of kernel objects, derived from their purpose, so that a restarted agent finds its own.

Argosy's names begin with `ab` + VNI (bridges), `av` + VNI (VXLAN devices), `ae` + container id (host ends of veth
pairs), or are `argosy0`. Everything else on the host belongs to others and is never changed.
"""

from __future__ import annotations

import re

from kit.ip import number_of

LOCAL_BRIDGE_LINK = "argosy0"
VETH = "ae"
TABLE_TAG = 0x5A000000
"""The top byte of Argosy's routing tables and packet marks; the other bytes are a peer's number."""
TABLE_MASK = 0xFF000000

_OURS = re.compile(r"(ab|av)[0-9]{1,8}|argosy0")


def bridge(vni: int) -> str:
    """The network's bridge; VNI 0 is the host's own network."""
    return f"ab{vni}" if vni else LOCAL_BRIDGE_LINK


def vxlan(vni: int) -> str:
    """The network's VXLAN device."""
    return f"av{vni}"


def veth(container_id: str, index: int) -> str:
    """Host end of a container's interface. Never reused: the kernel removes links long after their namespace."""
    return f"{VETH}{container_id[:10]}{index:x}"


def is_ours(link: str) -> bool:
    """Whether a bridge or VXLAN device of that name is Argosy's."""
    return _OURS.fullmatch(link) is not None


def is_table(number: int) -> bool:
    """Whether a routing table is Argosy's."""
    return number & TABLE_MASK == TABLE_TAG


def mac(address: str) -> str:
    """The MAC address that belongs to an IPv4 address on Argosy's networks (Docker's scheme)."""
    a, b, c, d = address.split(".")
    return f"02:42:{int(a):02x}:{int(b):02x}:{int(c):02x}:{int(d):02x}"


def mark(gateway: str, subnet: str) -> int:
    """The packet mark, and routing table, that leads back to the host whose bridge has this address."""
    base, _, length = subnet.partition("/")
    hosts = (1 << (32 - int(length))) - 1
    return TABLE_TAG | ((number_of(gateway) - (number_of(base) & ~hosts & 0xFFFFFFFF)) & 0xFFFFFF)


def zone(mark: int) -> int:
    """The conntrack zone of packets from the host with this mark; never 0, the default zone."""
    return mark % 0xFFFF + 1
