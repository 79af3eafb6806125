"""Pure: the ports of sandboxes → an nftables table of the bridge family; each sends under its own addresses only.

A frame is looked at where it comes out of a container, before the bridge or br_netfilter see it: its source MAC and
IPv4 address, and in ARP the sender's, must be those of this very port. VLAN tags, IPv6 and everything else that is not
plain IPv4 or ARP is dropped; so is ARP that comes out of a tunnel (it is answered on each host from the tables).

A packet costs one hash look-up, however many ports there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from overlay.names import VETH
from overlay.wire import ethernet, ipv4


@dataclass(frozen=True, slots=True)
class Plug:
    """A container's interface, seen from the host."""

    link: str
    """The host's end: a port of the network's bridge."""
    mac: str
    address: str
    """IPv4, without prefix length."""


# `ether type` is read as it came, tags and all: one with an 802.1Q tag, of VLAN 0 too, is not ip
_CHAIN = f"""  chain guard {{ type filter hook prerouting priority -350; policy accept;
    ether type != ip iifname @tunnels drop
    iifname != "{VETH}*" accept
    ether type ip iifname . ether saddr . ip saddr @own accept
    ether type arp iifname . ether saddr . arp saddr ip @own iifname . arp saddr ether . arp saddr ip @own accept
    iifname @ports drop
  }}"""


def full(table: str, plugs: Iterable[Plug], tunnels: Iterable[str]) -> str:
    """The whole table anew, in one transaction: at no moment is a port unguarded. `tunnels`: names of VXLAN devices."""
    lines = [f"add table bridge {table}", f"delete table bridge {table}", f"table bridge {table} {{"]
    lines += ["  set tunnels { type ifname; }", "  set ports { type ifname; }"]
    lines += ["  set own { type ifname . ether_addr . ipv4_addr; }", _CHAIN, "}"]
    if quoted := ", ".join(f'"{name}"' for name in sorted(tunnels)):
        lines.append(f"add element bridge {table} tunnels {{ {quoted} }}")
    return "\n".join(lines) + "\n" + admit(table, plugs)


def admit(table: str, plugs: Iterable[Plug]) -> str:
    """What lets these send; "" for none."""
    plugs = sorted(plugs, key=lambda plug: plug.link)
    if not plugs:
        return ""
    ports = ", ".join(f'"{plug.link}"' for plug in plugs)
    own = ", ".join(f'"{plug.link}" . {plug.mac} . {plug.address}' for plug in plugs)
    return f"add element bridge {table} ports {{ {ports} }}\nadd element bridge {table} own {{ {own} }}\n"


def keys(plugs: Iterable[Plug]) -> dict[str, list[bytes]]:
    """The same elements as the kernel has them, by set: each part padded to four bytes."""
    found: dict[str, list[bytes]] = {"ports": [], "own": []}
    for plug in plugs:
        link = plug.link.encode().ljust(16, b"\0")
        found["ports"].append(link)
        found["own"].append(link + ethernet(plug.mac) + bytes(2) + ipv4(plug.address))
    return found


def remove(table: str) -> str:
    """What takes the table away, if it is there."""
    return f"add table bridge {table}\ndelete table bridge {table}\n"
