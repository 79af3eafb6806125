"""The netlink wire format: messages and attributes to bytes, and back. No sockets here.

A small encoder of our own: one message costs microseconds here, a hundred times that through a library's dictionaries,
and a host has thousands of neighbours to write. Numbers are linux/rtnetlink.h's and if_link.h's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
ERROR, DONE = 2, 3
NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34

AF_INET, AF_BRIDGE = 2, 7
IFF_UP = 1

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
NESTED = 0x8000
TYPE_MASK = 0x3FFF


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """A zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    """One byte."""
    return attribute(kind, bytes((value,)))


def u32(kind: int, value: int) -> bytes:
    """A number in the machine's byte order."""
    return attribute(kind, struct.pack("=I", value))


def u16_network(kind: int, value: int) -> bytes:
    """A port number."""
    return attribute(kind, struct.pack("!H", value))


def ipv4(value: str) -> bytes:
    """Four bytes."""
    return bytes(int(part) for part in value.split("."))


def ethernet(value: str) -> bytes:
    """Six bytes."""
    return bytes.fromhex(value.replace(":", ""))


def message(kind: int, flags: int, body: bytes, sequence: int) -> bytes:
    """A request that is acknowledged."""
    return _HEADER.pack(len(body) + 16, kind, flags | REQUEST | ACK, sequence, 0) + body


def dump(kind: int, body: bytes, sequence: int) -> bytes:
    """A request for all objects of a kind."""
    return _HEADER.pack(len(body) + 16, kind, REQUEST | DUMP, sequence, 0) + body


def link(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """struct ifinfomsg."""
    return struct.pack("=BxHiII", family, 0, index, flags, change)


def address(index: int, length: int, scope: int = 0) -> bytes:
    """struct ifaddrmsg."""
    return struct.pack("=BBBBI", AF_INET, length, 0, scope, index)


def route(length: int, table: int, protocol: int, scope: int, kind: int, flags: int = 0) -> bytes:
    """struct rtmsg. Tables over 255 stand in an attribute."""
    return struct.pack("=BBBBBBBBI", AF_INET, length, 0, 0, table if table < 256 else 0, protocol, scope, kind, flags)


def neighbour(family: int, index: int, state: int, flags: int) -> bytes:
    """struct ndmsg."""
    return struct.pack("=BxxxiHBB", family, index, state, flags, 0)


def rule(table: int, action: int) -> bytes:
    """struct fib_rule_hdr."""
    return struct.pack("=BBBBBBBBI", AF_INET, 0, 0, 0, table if table < 256 else 0, 0, 0, action, 0)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an answer."""

    kind: int
    sequence: int
    body: bytes

    @property
    def error(self) -> int:
        """The error number of an acknowledgement; 0 is success."""
        return -int(struct.unpack_from("=i", self.body)[0])


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _flags, sequence, _pid = _HEADER.unpack_from(data, offset)
        if length < 16:
            return
        yield Message(kind, sequence, data[offset + 16 : offset + length])
        offset += length + (-length % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attributes by kind."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & TYPE_MASK] = data[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return found


def to_text(value: bytes) -> str:
    """A string attribute."""
    return value.rstrip(b"\0").decode(errors="replace")


def to_ipv4(value: bytes) -> str:
    """Four bytes as an address."""
    return ".".join(str(byte) for byte in value)


def to_ethernet(value: bytes) -> str:
    """Six bytes as a MAC address."""
    return value.hex(":")


def to_u32(value: bytes) -> int:
    """A number."""
    return int(struct.unpack("=I", value)[0])


def to_u16(value: bytes) -> int:
    """A short number."""
    return int(struct.unpack("=H", value)[0])


def index(body: bytes) -> int:
    """The link's number in struct ifinfomsg, ifaddrmsg and ndmsg."""
    return int(struct.unpack_from("=i", body, 4)[0])
