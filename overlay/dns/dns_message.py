"""The DNS wire format, as far as a forwarding server needs it: questions, and answers with A and PTR records.

For hostile input: a parser returns None or raises Malformed, nothing else, and reads each byte at most once. RFC 1035
§4; EDNS options (RFC 6891) of a query are ignored. Imports almost nothing, to keep the stand-in small.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

A, NS, CNAME, SOA, PTR, AAAA, ANY, OPT = 1, 2, 5, 6, 12, 28, 255, 41
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
RESPONSE, AUTHORITATIVE, TRUNCATED = 0x8000, 0x0400, 0x0200
RECURSION_DESIRED, RECURSION_AVAILABLE = 0x0100, 0x0080
OPCODE = 0x7800
PLAIN_SIZE = 512
"""Largest answer over UDP for a client without EDNS, in bytes."""

_HEADER = struct.Struct("!HHHHHH")


class Malformed(ValueError):
    """Not a DNS message."""


class Query:
    """A question, and the largest answer that the client accepts."""

    __slots__ = ("edns", "flags", "id", "kind", "name", "section", "size")

    def __init__(self, id: int, flags: int, name: str, kind: int, section: bytes, size: int, edns: bool) -> None:
        self.id = id
        self.flags = flags
        self.name = name
        """Lower case, no final dot."""
        self.kind = kind
        self.section = section
        """The question section as received: answers repeat it with its letter case."""
        self.size = size
        """Largest answer over UDP, in bytes."""
        self.edns = edns


def parse_query(data: bytes) -> Query:
    """Parse a query with one question. Raises Malformed."""
    if len(data) < 12:
        raise Malformed("short header")
    id, flags, questions, answers, authorities, extras = _HEADER.unpack_from(data)
    if flags & RESPONSE or questions != 1 or answers or authorities:
        raise Malformed("not a question")
    name, offset = _name(data, 12)
    if offset + 4 > len(data):
        raise Malformed("short question")
    kind, _ = struct.unpack_from("!HH", data, offset)
    end = offset + 4
    size, edns = _edns(data, end, extras)
    return Query(id, flags, name, kind, data[12:end], size, edns)


def response(query: Query, code: int, addresses: Sequence[str] = (), pointer: str = "", ttl: int = 0) -> bytes:
    """An answer: A records for `addresses`, or a PTR record to `pointer`; not truncated (see `truncate`)."""
    records = [_record(A, ttl, bytes(int(part) for part in address.split("."))) for address in addresses]
    if pointer:
        records.append(_record(PTR, ttl, encode_name(pointer)))
    flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | (query.flags & (OPCODE | RECURSION_DESIRED)) | code
    extra = b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0) if query.edns else b""
    header = _HEADER.pack(query.id, flags, 1, len(records), 0, 1 if extra else 0)
    return header + query.section + b"".join(records) + extra


def refuse(data: bytes, code: int) -> bytes | None:
    """An error answer to data that could not be parsed; None if it has no header or is itself an answer."""
    if len(data) < 12 or data[2] & 0x80:
        return None
    return data[:2] + struct.pack("!HHHHH", RESPONSE | RECURSION_AVAILABLE | code, 0, 0, 0, 0)


def truncate(answer: bytes, query: Query) -> bytes:
    """The answer if it fits into a datagram, else one that tells the client to ask over TCP."""
    if len(answer) <= query.size:
        return answer
    flags = struct.unpack_from("!H", answer, 2)[0] | TRUNCATED
    return _HEADER.pack(query.id, flags, 1, 0, 0, 0) + query.section


def is_answer(data: bytes, id: int, section: bytes) -> bool:
    """Whether this is the answer to our question; the letter case of names is ignored."""
    if len(data) < 12 or data[:2] != struct.pack("!H", id) or not data[2] & 0x80:
        return False
    return data[12 : 12 + len(section)].lower() == section.lower()


def is_truncated(answer: bytes) -> bool:
    """Whether the answer is incomplete: the client is to ask over TCP."""
    return len(answer) > 2 and bool(answer[2] & 0x02)


def code_of(answer: bytes) -> int:
    """The response code."""
    return answer[3] & 0x0F if len(answer) > 3 else SERVFAIL


def encode_name(name: str) -> bytes:
    """Encode a name as labels. Raises Malformed for an invalid name."""
    encoded = b""
    for label in name.rstrip(".").split(".") if name.rstrip(".") else ():
        raw = label.encode()
        if not 0 < len(raw) < 64:
            raise Malformed(f"bad label in {name}")
        encoded += bytes((len(raw),)) + raw
    if len(encoded) > 254:
        raise Malformed(f"name too long: {name}")
    return encoded + b"\0"


def reverse_address(name: str) -> str | None:
    """The address in a name like "4.3.2.1.in-addr.arpa"; None for other names."""
    labels = name.split(".")
    if len(labels) != 6 or labels[4:] != ["in-addr", "arpa"]:
        return None
    if not all(label.isascii() and label.isdigit() and len(label) <= 3 and int(label) < 256 for label in labels[:4]):
        return None
    return ".".join(str(int(label)) for label in reversed(labels[:4]))


def _record(kind: int, ttl: int, data: bytes) -> bytes:
    # 0xC00C points to the name in the question
    return struct.pack("!HHHIH", 0xC00C, kind, IN, ttl, len(data)) + data


def _name(data: bytes, offset: int) -> tuple[str, int]:
    """Parse a name; returns it and the offset after it. No compression: a question comes first."""
    labels = []
    start = offset
    while True:
        if offset >= len(data) or offset - start > 254:
            raise Malformed("name does not end")
        length = data[offset]
        offset += 1
        if length == 0:
            break
        if length > 63 or offset + length > len(data):
            raise Malformed("bad label")
        labels.append(data[offset : offset + length].decode("latin-1"))
        offset += length
    return ".".join(labels).lower(), offset


def _edns(data: bytes, offset: int, extras: int) -> tuple[int, bool]:
    """The size in an OPT record, and whether there is one. Only the first additional record is checked."""
    if not extras or offset + 11 > len(data) or data[offset] != 0:
        return PLAIN_SIZE, False
    kind, size = struct.unpack_from("!HH", data, offset + 1)
    return (min(max(size, PLAIN_SIZE), 4096), True) if kind == OPT else (PLAIN_SIZE, False)
