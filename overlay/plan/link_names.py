"""How kernel objects are called: derived from what they are for, so that a restarted agent finds its own.

Names of ours begin with `ab` + VNI (bridges), `av` + VNI (VXLAN devices), `ae` + container id (veth host ends), or are
`argosy0`. Everything else on the host belongs to somebody else and is never touched.
"""

from __future__ import annotations

import re

from kit.ip import number_of

LOCAL_BRIDGE_LINK = "argosy0"
VETH = "ae"
TABLE_TAG = 0x5A000000
"""Routing tables and packet marks of ours have this in their top byte; the rest is a peer's number."""
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
    """Whether a bridge or VXLAN device of that name is one that we made."""
    return _OURS.fullmatch(link) is not None


def is_table(number: int) -> bool:
    """Whether a routing table is one of ours."""
    return number & TABLE_MASK == TABLE_TAG


def mac(address: str) -> str:
    """The MAC address of whoever has this IPv4 address on a network of ours (Docker's scheme)."""
    a, b, c, d = address.split(".")
    return f"02:42:{int(a):02x}:{int(b):02x}:{int(c):02x}:{int(d):02x}"


def mark(gateway: str, subnet: str) -> int:
    """The packet mark, and routing table, that leads back to the host whose bridge has this address."""
    base, _, length = subnet.partition("/")
    hosts = (1 << (32 - int(length))) - 1
    return TABLE_TAG | ((number_of(gateway) - (number_of(base) & ~hosts & 0xFFFFFFFF)) & 0xFFFFFF)


def zone(mark: int) -> int:
    """The conntrack zone of what comes from the host with this mark; never 0, which is everybody's."""
    return mark % 0xFFFF + 1
