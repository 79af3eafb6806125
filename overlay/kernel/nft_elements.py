"""Elements of nftables sets, added by netlink in some 30 microseconds.

libnftables reads every table of the host before it adds one element, which takes longer with more services; a
container's start must not wait for that. Blocking; used by one thread, in the network namespace it was made in.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping

from overlay.interface import NetworkFailure
from overlay.kernel import netfilter_messages, netlink_messages
from overlay.kernel.netlink_socket import ACKNOWLEDGE, NETLINK_NETFILTER, message, messages


class SetElements:
    """Writes to the sets of one table of the bridge family."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.settimeout(10.0)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def add(self, sets: Mapping[str, Iterable[bytes]]) -> None:
        """Add keys by set, in one transaction; existing ones are no error. Raises NetworkFailure, OSError."""
        self._socket.send(batch(self._table, sets))
        waiting, failure = {*range(1, len(sets) + 1)}, 0
        while waiting and not failure:
            for answer in messages(self._socket.recv(1 << 16)):
                if answer.is_error:
                    waiting.discard(answer.sequence)
                    failure = failure or answer.error
        if failure:
            raise NetworkFailure(f"nftables refused the addresses of a container: {os.strerror(failure)}.")


def batch(table: str, sets: Mapping[str, Iterable[bytes]]) -> bytes:
    """The messages of one transaction. Those of the sets are acknowledged; they are numbered from 1."""
    edge = netfilter_messages.batch_edge()
    parts = [message(netfilter_messages.BEGIN_BATCH, 0, edge, 0)]
    for number, (name, keys) in enumerate(sets.items(), 1):
        elements = netfilter_messages.set_elements(table, name, keys)
        parts.append(message(netfilter_messages.NEW_ELEMENTS, netlink_messages.CREATE | ACKNOWLEDGE, elements, number))
    parts.append(message(netfilter_messages.END_BATCH, 0, edge, 0))
    return b"".join(parts)
