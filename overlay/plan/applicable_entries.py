"""Which of a host's network assignments can be applied at all, so that one that cannot does not stop the others. Pure.

Managers check requests too; this check is for objects stored before they did, and for managers' own faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from api.wire.assignments import Assignment, EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment

MOST_VNI = (1 << 24) - 1
LEAST_MTU, MOST_MTU = 68, 65535
PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)


def wrong(order: Assignment) -> str:
    """Why the networks cannot apply an assignment; "" when they can, or when it is not about networks."""
    match order:
        case NetworkAssignment():
            return _wrong_network(order)
        case ServiceAssignment():
            return _wrong_service(order)
        case EndpointAssignment():
            return _wrong_address(order.address) or _wrong_host(order.host) or _wrong_mac(order.mac_address)
        case PeerAssignment():
            return _wrong_address(order.gateway) or _wrong_host(order.host)
    return ""


def _wrong_network(order: NetworkAssignment) -> str:
    if not 0 < order.vni <= MOST_VNI:
        return f"{order.vni} is no VXLAN network identifier"
    if order.mtu and not LEAST_MTU <= order.mtu <= MOST_MTU:
        return f"{order.mtu} is no MTU"
    for what, text, parse in (
        ("subnet", order.subnet, IPv4Network),
        ("range of virtual addresses", order.vip_range, IPv4Network),
        ("gateway", order.gateway, IPv4Interface),
    ):
        if (text or what != "range of virtual addresses") and not (_parses(parse, text) and "/" in text):
            return f"{text!r} is no {what}"
    if IPv4Interface(order.gateway).ip not in IPv4Network(order.subnet):
        return f"the gateway {order.gateway} is not in {order.subnet}"
    return ""


def _wrong_service(order: ServiceAssignment) -> str:
    if order.vip and (why := _wrong_address(order.vip)):
        return why
    for port in order.ports:
        if not (0 < port.target_port <= 65535 and 0 <= port.published_port <= 65535):
            return f"{port.published_port}:{port.target_port} are no ports"
        if port.protocol not in PROTOCOLS:
            return f"{port.protocol!r} is no protocol"
        if port.host_ip and (why := _wrong_address(port.host_ip)):
            return why
    return ""


@lru_cache(maxsize=65536)
def _wrong_address(text: str) -> str:
    try:
        IPv4Address(text)
    except AddressValueError:
        return f"{text!r} is no IPv4 address"
    return ""


def _wrong_host(text: str) -> str:
    """ "" is fine: the host of a task is unknown until its node has reported."""
    return _wrong_address(text) if text else ""


def _wrong_mac(text: str) -> str:
    return "" if not text or _MAC.fullmatch(text) else f"{text!r} is no MAC address"


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
