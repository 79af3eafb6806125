"""Pure: the kernel's per-device IPv4 settings that we set or rely on, and how each is joined with `conf/all`.

A device's file below /proc/sys/net/ipv4/conf tells only half: for most settings the kernel joins it with that of `all`
(include/linux/inetdevice.h, the IN_DEV_… macros). In a container's namespace both are ours to set. On the host `all`
is its owner's: we set the device, and where `all` wins nevertheless, `overrides` says so; what must not be is then
prevented by nftables (redirects: rules.py) or told in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Combination(Enum):
    """How `conf/all` and the device's value become one."""

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
"""What the host itself must have, by path below /proc/sys/net."""

BRIDGE: Mapping[str, int] = {
    "forwarding": 1,
    # loose: mesh replies leave by another way than the client's packets would come
    "rp_filter": 2,
    # 127.0.0.1:PORT on the host itself is DNATed to a container (rules.py guards what this would open)
    "route_localnet": 1,
    # a container told to go through another host stays with that host, dead or alive
    "send_redirects": 0,
    # nobody on a network tells the host, or its packets, where to go
    "accept_redirects": 0,
    "accept_source_route": 0,
    "accept_local": 0,
    # the host answers for VIPs, which are no addresses of the device, and for nothing that is elsewhere
    "arp_ignore": 0,
    "arp_filter": 0,
    "arp_accept": 0,
    "proxy_arp": 0,
    "proxy_arp_pvlan": 0,
}
"""What must hold on each of our bridges."""

DROPPED_BY_RULES = frozenset({"send_redirects"})
"""What rules.py does not let out of a bridge, so that `all` does not matter. (It is 1 on hosts that nobody touched.)"""

SANDBOX: Mapping[str, int] = {
    "accept_redirects": 0,
    "send_redirects": 0,
    "accept_source_route": 0,
    "accept_local": 0,
    "proxy_arp": 0,
    "arp_accept": 0,
    "route_localnet": 0,
    # of several networks each hears of its own address only; the host drops everything else
    "arp_ignore": 1,
    "arp_announce": 2,
    # sources are checked where packets come from
    "rp_filter": 0,
}
"""What must hold in a container's namespace, on every device that will ever be in it."""


@dataclass(frozen=True, slots=True)
class Override:
    """A setting that `conf/all` makes other than a bridge needs it."""

    name: str
    wanted: int
    effective: int

    def __str__(self) -> str:
        return f"net.ipv4.conf.all.{self.name} makes {self.name} {self.effective} where {self.wanted} is needed"


def effective(name: str, everywhere: int, device: int, forwards: bool = False) -> int:
    """What the kernel goes by, from the values of `conf/all` and the device."""
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
    """What the host's `conf/all` makes of a bridge that is set as wanted. Values by name; one not there counts as 0."""
    found = []
    for name, wanted in BRIDGE.items():
        value = effective(name, everywhere.get(name, 0), wanted, forwards=bool(BRIDGE["forwarding"]))
        if value != wanted and name not in DROPPED_BY_RULES:
            found.append(Override(name, wanted, value))
    return found
