"""IPv4 networks: how they are written, and those that no network of the cluster can be in. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network

from api.defaults import LOCAL_SUBNET

WIDEST = 8
"""Shortest prefix that is somebody's; shorter ones lead everywhere."""

_SPECIAL = {
    IPv4Network("0.0.0.0/8"): "0.0.0.0/8, which means this network",
    IPv4Network("127.0.0.0/8"): "127.0.0.0/8, the loopback addresses",
    IPv4Network("169.254.0.0/16"): "169.254.0.0/16, the link-local addresses",
    IPv4Network("224.0.0.0/4"): "224.0.0.0/4, the multicast addresses",
    IPv4Network("240.0.0.0/4"): "240.0.0.0/4, which is reserved",
    IPv4Network(LOCAL_SUBNET): f"{LOCAL_SUBNET}, each host's own network for containers",
}
"""What a sentence calls each."""

SPECIAL = tuple(_SPECIAL)
"""Networks that no network of the cluster may overlap."""


@lru_cache(maxsize=16384)
def parse(text: str) -> IPv4Network | None:
    """A network as it must be written: a.b.c.d/n, with nothing beyond the prefix; None for anything else."""
    try:
        network = IPv4Network(text)
    except ValueError:
        return None
    return network if str(network) == text else None


def special(subnet: IPv4Network) -> str:
    """The reserved range that a network overlaps: "127.0.0.0/8, the loopback addresses"; "" for none."""
    return next((name for other, name in _SPECIAL.items() if subnet.overlaps(other)), "")
