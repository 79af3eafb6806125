"""The kernel's per-device IPv4 settings that Argosy sets or relies on, and how each combines with `conf/all`. Pure.

For most settings the kernel combines a device's file below /proc/sys/net/ipv4/conf with the one of `all`
(include/linux/inetdevice.h, the IN_DEV_… macros). In a container's namespace Argosy sets both. On the host `all`
belongs to its owner: Argosy sets the device, and `overrides` finds the settings where `all` wins. nftables then
prevents the effect (redirects: nft_rules.py), or the node's status reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Combination(Enum):
    """How the kernel combines the values of `conf/all` and the device."""

    OR = "IN_DEV_ORCONF: on if either is"
    AND = "IN_DEV_ANDCONF: on if both are"
    MAX = "IN_DEV_MAXCONF: the greater of the two"
    FORWARDING = "IN_DEV_RX_REDIRECTS: AND on a device that forwards, else OR"
    DEVICE = "IN_DEV_CONF_GET: the device's alone; writing `all` writes every device's"


RULES: Mapping[str, Combination] = {
    "accept_local": Combination.OR,
    "accept_redirects": Combination.FORWARDING,
    "accept_source_route": Combination.AND,
    "arp_accept": Combination.MAX,
    "arp_announce": Combination.MAX,
    "arp_filter": Combination.OR,
    "arp_ignore": Combination.MAX,
    "forwarding": Combination.DEVICE,
    "log_martians": Combination.OR,
    "proxy_arp": Combination.OR,
    "proxy_arp_pvlan": Combination.OR,
    "route_localnet": Combination.OR,
    "rp_filter": Combination.MAX,
    "secure_redirects": Combination.OR,
    "send_redirects": Combination.OR,
    "shared_media": Combination.OR,
    "src_valid_mark": Combination.OR,
}

HOST: Mapping[str, str] = {"ipv4/ip_forward": "1"}
"""Settings of the host itself, by path below /proc/sys/net."""

BRIDGE: Mapping[str, int] = {
    "forwarding": 1,
    # loose: mesh replies leave by another interface than the client's packets come in by
    "rp_filter": 2,
    # 127.0.0.1:PORT on the host itself is DNATed to a container (nft_rules.py blocks what this would open)
    "route_localnet": 1,
    # a container that believes a redirect stays with the other host, dead or alive
    "send_redirects": 0,
    # containers must not redirect the host or route its packets
    "accept_redirects": 0,
    "accept_source_route": 0,
    "accept_local": 0,
    # the host answers ARP for VIPs, which are not addresses of the device, and for nothing that is elsewhere
    "arp_ignore": 0,
    "arp_filter": 0,
    "arp_accept": 0,
    "proxy_arp": 0,
    "proxy_arp_pvlan": 0,
}
"""Effective values that each of Argosy's bridges needs."""

DROPPED_BY_RULES = frozenset({"send_redirects"})
"""Settings whose packets nft_rules.py drops, so that `all` does not matter. (It is 1 by default.)"""

SANDBOX: Mapping[str, int] = {
    "accept_redirects": 0,
    "send_redirects": 0,
    "accept_source_route": 0,
    "accept_local": 0,
    "proxy_arp": 0,
    "arp_accept": 0,
    "route_localnet": 0,
    # on each network ARP is about that network's address only; the host drops everything else
    "arp_ignore": 1,
    "arp_announce": 2,
    # sources are checked where packets come from
    "rp_filter": 0,
}
"""Settings of a container's namespace, for every device that will ever be in it."""


@dataclass(frozen=True, slots=True)
class Override:
    """A setting whose effective value `conf/all` makes wrong for a bridge."""

    name: str
    wanted: int
    effective: int

    def __str__(self) -> str:
        return f"net.ipv4.conf.all.{self.name} makes {self.name} {self.effective} where {self.wanted} is needed"


def effective(name: str, everywhere: int, device: int, forwards: bool = False) -> int:
    """The effective value, from those of `conf/all` and of the device."""
    match RULES[name]:
        case Combination.OR:
            return int(bool(everywhere or device))
        case Combination.AND:
            return int(bool(everywhere and device))
        case Combination.MAX:
            return max(everywhere, device)
        case Combination.FORWARDING:
            return int(bool(everywhere and device) if forwards else bool(everywhere or device))
        case Combination.DEVICE:
            return device


def for_bridge(bridge: str) -> Mapping[str, str]:
    """Settings of one bridge, by path below /proc/sys/net."""
    settings = {f"ipv4/conf/{bridge}/{name}": str(value) for name, value in BRIDGE.items()}
    return {**settings, f"ipv6/conf/{bridge}/disable_ipv6": "1"}


def for_sandbox() -> Mapping[str, str]:
    """Settings of a container's namespace: of `all`, and of the devices still to be made."""
    places = ("all", "default")
    return {f"ipv4/conf/{place}/{name}": str(value) for name, value in SANDBOX.items() for place in places}


def overrides(everywhere: Mapping[str, int]) -> list[Override]:
    """Settings that `conf/all` makes wrong for a bridge with BRIDGE's values.

    `everywhere`: the values of `conf/all` by name; a missing one counts as 0.
    """
    found = []
    for name, wanted in BRIDGE.items():
        value = effective(name, everywhere.get(name, 0), wanted, forwards=bool(BRIDGE["forwarding"]))
        if value != wanted and name not in DROPPED_BY_RULES:
            found.append(Override(name, wanted, value))
    return found
