"""The nftables table (bridge family) that lets each sandbox send from its own addresses only: anti-spoofing. Pure.

A frame is checked where it leaves a container, before the bridge or br_netfilter see it: its source MAC and IPv4
address, and in ARP the sender's, must be those of this very port. VLAN tags, IPv6 and everything else that is not plain
IPv4 or ARP is dropped; so is ARP from a tunnel (each host answers ARP from its own tables).

A packet costs one hash lookup, whatever the number of ports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from overlay.plan.link_names import VETH


@dataclass(frozen=True, slots=True)
class GuardedPort:
    """A container's interface as the host sees it, and the addresses that it may send from."""

    link: str
    """The host's end: a port of the network's bridge."""
    mac: str
    address: str
    """IPv4, without prefix length."""


_SETS = {"tunnels": "ifname", "ports": "ifname", "own": "ifname . ether_addr . ipv4_addr"}
_SET = re.compile(r"set (\w+) \{(.*?)\n\t\}", re.DOTALL)
_ELEMENTS = re.compile(r"\n\s*elements = \{(.*?)\}", re.DOTALL)
# `ether type` is the outermost one: a frame with an 802.1Q tag, of VLAN 0 too, is not ip
_CHAIN = f"""  chain guard {{ type filter hook prerouting priority -350; policy accept;
    ether type != ip iifname @tunnels drop
    iifname != "{VETH}*" accept
    ether type ip iifname . ether saddr . ip saddr @own accept
    ether type arp iifname . ether saddr . arp saddr ip @own iifname . arp saddr ether . arp saddr ip @own accept
    iifname @ports drop
  }}"""


Elements = Mapping[str, frozenset[str]]
"""Elements by set, in nftables' notation."""


def wanted(ports: Iterable[GuardedPort], tunnels: Iterable[str]) -> Elements:
    """The elements of all sets. `tunnels`: names of VXLAN devices."""
    ports = tuple(ports)
    return {
        "tunnels": frozenset(f'"{name}"' for name in tunnels),
        "ports": frozenset(f'"{port.link}"' for port in ports),
        "own": frozenset(f'"{port.link}" . {port.mac} . {port.address}' for port in ports),
    }


def full(table: str, elements: Elements) -> str:
    """Commands that replace the whole table in one transaction. During it ports are unguarded for an instant."""
    lines = [f"add table bridge {table}", f"delete table bridge {table}", f"table bridge {table} {{"]
    lines += [f"  set {name} {{ type {kind}; }}" for name, kind in _SETS.items()]
    lines += [_CHAIN, "}"]
    return "\n".join(lines) + "\n" + delta(table, {}, elements)


def delta(table: str, old: Elements, new: Elements) -> str:
    """Commands that turn elements `old` into `new` in one transaction; "" when they are equal."""
    lines = []
    for verb, before, after in (("delete", new, old), ("add", old, new)):
        for name in _SETS:
            if changed := sorted(after.get(name, frozenset()) - before.get(name, frozenset())):
                lines.append(f"{verb} element bridge {table} {name} {{ {', '.join(changed)} }}\n")
    return "".join(lines)


def read(listing: str) -> tuple[str, Elements]:
    """The text of a printed table without its elements, and the elements."""
    found = {}
    for name, body in _SET.findall(listing):
        within = _ELEMENTS.search(body)
        found[name] = frozenset(one.strip() for one in within[1].split(",")) if within else frozenset[str]()
    return _ELEMENTS.sub("", listing), found


def keys(ports: Iterable[GuardedPort]) -> dict[str, list[bytes]]:
    """The elements of these ports by set, in the kernel's encoding: each part padded to four bytes."""
    found: dict[str, list[bytes]] = {"ports": [], "own": []}
    for port in ports:
        link = port.link.encode().ljust(16, b"\0")
        found["ports"].append(link)
        found["own"].append(
            link + bytes.fromhex(port.mac.replace(":", "")) + bytes(2) + IPv4Address(port.address).packed
        )
    return found


def remove(table: str) -> str:
    """Commands that remove the table, if it exists."""
    return f"add table bridge {table}\ndelete table bridge {table}\n"
