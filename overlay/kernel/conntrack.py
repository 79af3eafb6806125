"""Flows that the kernel remembers (conntrack): those that no longer follow the rules are deleted.

By netlink, with the kernel's own filter: a change costs one look through the kernel's table for each door or address it
concerns, and one message for each flow that goes. Blocking; called in one thread at a time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Set
from functools import cache

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_socket import ABSENT, NETLINK_NETFILTER, NetlinkSocket, Request
from overlay.plan.datagram_routes import UDP, Door, Doors, Flow, is_stale

SUBSYSTEM = 1 << 8
GET, DELETE = SUBSYSTEM | 1, SUBSYSTEM | 2
TUPLE_ORIG, TUPLE_REPLY, ID, ZONE, FILTER = 1, 2, 12, 18, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
IP_SRC, IP_DST = 1, 2
PROTO_NUM, PROTO_SRC_PORT, PROTO_DST_PORT = 1, 2, 3
FILTER_ORIG, FILTER_REPLY = 1, 2
BY_SRC, BY_DST, BY_PROTO, BY_DST_PORT = 0x01, 0x02, 0x08, 0x20
FAMILY = struct.pack("=BBH", netlink_messages.AF_INET, 0, 0)
_FIRST = 4
_TUPLE = struct.Struct("!12x4s4x4s8xB7xH6xH2x")
"""Source, destination, protocol and ports of a tuple, where the kernel puts them: tables may be long, so not by walking
through nested attributes."""
FEW = 8
"""So many looks with a filter are cheaper than one at everything without."""


class Conntrack:
    """The flows of the network namespace it was made in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def forget(self, doors: Doors, changed: Set[Door], gone: Set[str]) -> int:
        """Delete the UDP flows through doors that `changed` which do not follow them, and every flow that one of
        `gone` answers. Returns how many. Raises Refused, OSError."""
        local, addresses = cache(is_local), {netlink_messages.ipv4(address) for address in gone}

        def goes(body: bytes) -> bool:
            protocol, answering = glance(body)
            if answering in addresses:
                return True
            return bool(changed) and protocol == UDP and is_stale(doors, flow_of(body), local)

        found: dict[bytes, bytes] = {}
        for question in _questions(changed, gone):
            for body in self._socket.dump(GET, FAMILY + question, goes):
                found[name(body)] = body
        # one that has ended meanwhile is gone just as well
        self._socket.apply([Request(DELETE, 0, FAMILY + one, "forget a connection", ABSENT) for one in found])
        return len(found)


def is_local(address: str) -> bool:
    """Whether it is an address of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def glance(body: bytes) -> tuple[int, bytes]:
    """The protocol, and the address that answers: enough to pass over most of a long table."""
    (length,) = struct.unpack_from("=H", body, _FIRST)
    answering = _FIRST + length + (-length % 4) + 12
    return body[_FIRST + 32], body[answering : answering + 4]


def flow_of(body: bytes) -> Flow:
    """What an entry says; its ports are right for UDP only."""
    (length,) = struct.unpack_from("=H", body, _FIRST)
    _, to, protocol, _, to_port = _TUPLE.unpack_from(body, _FIRST)
    source, _, _, port, _ = _TUPLE.unpack_from(body, _FIRST + length + (-length % 4))
    return Flow(protocol, (netlink_messages.to_ipv4(to), to_port), (netlink_messages.to_ipv4(source), port))


def name(body: bytes) -> bytes:
    """The attributes that tell an entry from all others, and from the one that may take its place in a moment.

    By who answers, not by who asked: a client that uses its port again makes an entry with the same first tuple and, as
    the kernel reuses the memory, with the same id. That one leads elsewhere, and its answer would be lost.
    """
    entry = netlink_messages.attributes(body, 4)
    name = netlink_messages.attribute(
        TUPLE_REPLY | netlink_messages.NESTED, entry[TUPLE_REPLY]
    ) + netlink_messages.attribute(ID, entry[ID])
    return name + netlink_messages.attribute(ZONE, entry[ZONE]) if ZONE in entry else name


def _questions(changed: Set[Door], gone: Set[str]) -> Iterator[bytes]:
    """Filters that together find all that may have to go; kernels before 5.8 do not know them and give everything."""
    if len(changed) + len(gone) > FEW:
        yield b"" if gone else _question(BY_PROTO, FILTER_ORIG)
        return
    for door in changed:
        if door.port:
            yield _question(BY_PROTO | BY_DST_PORT, FILTER_ORIG, port=door.port)
        else:
            yield _question(BY_PROTO | BY_DST, FILTER_ORIG, address=door.address)
    for address in gone:
        yield _question(BY_SRC, FILTER_REPLY, address=address)


def _question(by: int, direction: int, address: str = "", port: int = 0) -> bytes:
    ends = {BY_SRC: IP_SRC, BY_DST: IP_DST}
    ip = (netlink_messages.attribute(kind, netlink_messages.ipv4(address)) for bit, kind in ends.items() if by & bit)
    protocol = [netlink_messages.u8(PROTO_NUM, UDP)] if by & BY_PROTO else []
    if by & BY_DST_PORT:
        protocol.append(netlink_messages.u16_network(PROTO_DST_PORT, port))
    tuple = TUPLE_ORIG if direction == FILTER_ORIG else TUPLE_REPLY
    return netlink_messages.nested(
        tuple, netlink_messages.nested(TUPLE_IP, *ip), netlink_messages.nested(TUPLE_PROTO, *protocol)
    ) + netlink_messages.nested(FILTER, netlink_messages.u32(direction, by))
