"""Subnet layout: how a network's subnet is divided, and which subnet a network gets. Pure arithmetic.

    10.0.1.0, .1       never allocated
    10.0.1.2 … .191    bridges of the hosts, and tasks
    10.0.1.192 … .254  VIPs: the last quarter (`vip_range` 10.0.1.192/26)
    10.0.1.255         never allocated
If the user gives an IP range, both parts are cut from that range instead of the whole subnet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from api.network.network_spec import IPAMConfig
from api.objects.decided import NetworkDecision
from api.objects.wanted import Network
from api.reasons.reason import Code, Reason, reason
from kit.ip import address_of

SMALLEST = 29
"""Longest prefix of a subnet that has room for hosts and VIPs."""


@dataclass(frozen=True, slots=True)
class SubnetLayout:
    """The parts of a network's subnet: ranges of addresses as integers, both ends included."""

    hosts: tuple[int, int]
    vips: tuple[int, int]
    prefix: int
    reserved: frozenset[int]

    def takes(self, number: int) -> bool:
        """Whether a task may ask for this address: it is in the subnet, not reserved, and not in the range of VIPs."""
        bits = 32 - self.prefix
        inside = number >> bits == self.hosts[0] >> bits
        return inside and number not in self.reserved and not self.vips[0] <= number <= self.vips[1]

    def address(self, number: int) -> str:
        """The address as text, with prefix length."""
        return f"{address_of(number)}/{self.prefix}"


def layout(network: Network | None, decision: NetworkDecision) -> SubnetLayout:
    """The layout of a network that has its subnet."""
    config = network.spec.ipam.config[0] if network and network.spec.ipam.config else IPAMConfig()
    reserved_texts = (config.gateway, *config.auxiliary_addresses.values())
    return _divided(decision.subnet, decision.vip_range, config.ip_range, reserved_texts)


@lru_cache(maxsize=1024)
def _divided(wanted: str, vip_range: str, ip_range: str, reserved_texts: tuple[str, ...]) -> SubnetLayout:
    """Cached, because every round asks for each dirty network and the result never changes."""
    subnet, vips = IPv4Network(wanted), IPv4Network(vip_range)
    pool = IPv4Network(ip_range, strict=False) if ip_range else subnet
    reserved = {int(subnet[0]), int(subnet[1]), int(subnet[-1])}
    for text in reserved_texts:
        if text:
            reserved.add(int(IPv4Network(text.partition("/")[0])[0]))
    return SubnetLayout(
        (int(pool[0]), int(vips[0]) - 1), (int(vips[0]), int(vips[-1])), subnet.prefixlen, frozenset(reserved)
    )


def vip_range(network: Network, subnet: IPv4Network) -> str:
    """The part of a subnet that is reserved for VIPs."""
    config = network.spec.ipam.config[0] if network.spec.ipam.config else IPAMConfig()
    return str(list(_range_of(config, subnet).subnets(2))[-1])


def requested_subnet(network: Network) -> tuple[IPv4Network | None, Reason | None]:
    """The subnet that the user asks for, or the reason why it cannot be used; both None when the user asks for none."""
    config = network.spec.ipam.config
    if not config or not config[0].subnet:
        return None, None
    try:
        subnet = IPv4Network(config[0].subnet, strict=False)
        narrow = _range_of(config[0], subnet)
    except ValueError as error:
        return None, reason(Code.SUBNET_UNUSABLE, text=str(error))
    if subnet.prefixlen > SMALLEST or narrow.prefixlen > 30:
        return None, reason(Code.SUBNET_TOO_SMALL, subnet=str(subnet), longest=SMALLEST)
    if not narrow.subnet_of(subnet):
        return None, reason(Code.RANGE_OUTSIDE_SUBNET, range=str(narrow), subnet=str(subnet))
    return subnet, None


def free_subnet(pools: Iterable[str], length: int, used: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first subnet of prefix length `length` in the pools that overlaps none of `used`; None when there is none."""
    ranges = sorted((int(net[0]), int(net[-1])) for net in used)
    for pool in map(IPv4Network, pools):
        size = 1 << (32 - max(length, pool.prefixlen))
        start = int(pool[0])
        for low, high in ranges:
            if high < start:
                continue
            if low >= start + size:
                break
            start = -(-(high + 1) // size) * size
        if start + size - 1 <= int(pool[-1]):
            return IPv4Network((start, max(length, pool.prefixlen)))
    return None


def overlapping(subnet: IPv4Network, used: dict[str, IPv4Network]) -> str | None:
    """The id of a network with an overlapping subnet; None when there is none."""
    return next((id for id, other in used.items() if subnet.overlaps(other)), None)


def free_vni(used: Collection[int], first: int) -> int:
    """An unused VNI, at least `first`: one above the highest, so that a freed VNI is reused as late as possible."""
    highest = max(used, default=0)
    if highest + 1 < 1 << 24:
        return max(first, highest + 1)
    return next(number for number in range(first, 1 << 24) if number not in used)


def _range_of(config: IPAMConfig, subnet: IPv4Network) -> IPv4Network:
    return IPv4Network(config.ip_range, strict=False) if config.ip_range else subnet
