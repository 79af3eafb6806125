"""Adds elements to nftables sets by netlink, in some 30 microseconds.

libnftables reads every table of the host before it adds one element, which takes longer the more services there are; a
container's start does not wait for that. Blocking; used by one thread, in the network namespace it was made in.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Mapping

from overlay.interface import NetworkFailure
from overlay.kernel import netlink_messages

NETLINK_NETFILTER = 12
FAMILY_BRIDGE = 7
SUBSYSTEM = 10
NEW_ELEMENTS = SUBSYSTEM << 8 | 12
BATCH_BEGIN, BATCH_END = 16, 17
LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
ELEMENT, KEY, VALUE = 1, 1, 1
_HEADER = struct.Struct("=IHHII")
_SUBHEADER = struct.Struct("!BBH")


class SetElements:
    """Writes to the sets of one table of the bridge family."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.settimeout(10.0)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def add(self, sets: Mapping[str, Iterable[bytes]]) -> None:
        """Keys by set, in one transaction; those that are there already are fine. Raises NetworkFailure, OSError."""
        self._socket.send(batch(self._table, sets))
        waiting, failure = {*range(1, len(sets) + 1)}, 0
        while waiting and not failure:
            for message in netlink_messages.messages(self._socket.recv(1 << 16)):
                if message.kind == netlink_messages.ERROR:
                    waiting.discard(message.sequence)
                    failure = failure or message.error
        if failure:
            raise NetworkFailure(f"nftables refused the addresses of a container: {os.strerror(failure)}.")


def batch(table: str, sets: Mapping[str, Iterable[bytes]]) -> bytes:
    """The messages of one transaction; that of each set is acknowledged under its number, from 1."""
    parts = [_message(BATCH_BEGIN, 0, 0, _SUBHEADER.pack(0, 0, SUBSYSTEM))]
    for number, (name, keys) in enumerate(sets.items(), 1):
        body = (
            _SUBHEADER.pack(FAMILY_BRIDGE, 0, 0)
            + netlink_messages.text(LIST_TABLE, table)
            + netlink_messages.text(LIST_SET, name)
        )
        elements = (
            netlink_messages.nested(ELEMENT, netlink_messages.nested(KEY, netlink_messages.attribute(VALUE, key)))
            for key in keys
        )
        parts.append(
            _message(
                NEW_ELEMENTS,
                netlink_messages.CREATE | netlink_messages.ACK,
                number,
                body + netlink_messages.nested(LIST_ELEMENTS, *elements),
            )
        )
    parts.append(_message(BATCH_END, 0, 0, _SUBHEADER.pack(0, 0, SUBSYSTEM)))
    return b"".join(parts)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(len(body) + 16, kind, flags | netlink_messages.REQUEST, sequence, 0) + body
