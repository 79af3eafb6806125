"""Netlink sockets: requests in batches, and dumps. Blocking: the kernel answers within the call.

A socket belongs to the network namespace in which it was opened, whichever thread uses it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from overlay.interface import NetworkFailure
from overlay.kernel.pyroute2_codec import netlink

NETLINK_NETFILTER: int = netlink.NETLINK_NETFILTER
NETLINK_SOCK_DIAG: int = netlink.NETLINK_SOCK_DIAG
REQUEST: int = netlink.NLM_F_REQUEST
ACKNOWLEDGE: int = netlink.NLM_F_ACK
DUMP: int = netlink.NLM_F_DUMP
ERROR: int = netlink.NLMSG_ERROR
DONE: int = netlink.NLMSG_DONE
HEADER = struct.Struct("=" + "".join(format for _, format in netlink.nlmsg.header))
"""A message's header: length, kind, flags, sequence, port."""
BATCH = 64
"""Messages per send: their acknowledgements must fit into the receive buffer."""
RECEIVE = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """A message to send, and the error numbers that count as success."""

    kind: int
    flags: int
    body: bytes
    what: str
    """For the error message: "add bridge ab4097"."""
    fine: frozenset[int] = frozenset()


ABSENT = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})
PRESENT = frozenset({errno.EEXIST})


class KernelRefused(NetworkFailure):
    """The kernel refused one request."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"The kernel refused to {what}: {os.strerror(number)}.")
        self.number = number


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an answer."""

    kind: int
    sequence: int
    body: bytes

    @property
    def is_error(self) -> bool:
        """Whether it is an acknowledgement: an error message, with number 0 for success."""
        return self.kind == ERROR

    @property
    def error(self) -> int:
        """The error number of an acknowledgement; 0 is success."""
        return -int(struct.unpack_from("=i", self.body)[0])

    @property
    def is_last(self) -> bool:
        """Whether it is the end of a dump."""
        return self.kind == DONE


def message(kind: int, flags: int, body: bytes, sequence: int) -> bytes:
    """Encode a request."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body


def messages(data: bytes) -> Iterator[Message]:
    """The messages in a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, _flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield Message(kind, sequence, data[offset + HEADER.size : offset + length])
        offset += length + (-length % 4)


class NetlinkSocket:
    """One socket of a netlink family: NETLINK_ROUTE, …"""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)
        self._socket.settimeout(10.0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def apply(self, requests: Sequence[Request]) -> None:
        """Send all requests; after a failure the rest is still tried. Raises KernelRefused for one that failed."""
        failure: KernelRefused | None = None
        for start in range(0, len(requests), BATCH):
            failure = self._batch(requests[start : start + BATCH]) or failure
        if failure:
            raise failure

    def ask(self, kind: int, body: bytes) -> bytes:
        """Ask for one object; returns its body. Raises KernelRefused."""
        self._sequence += 1
        self._socket.send(message(kind, ACKNOWLEDGE, body, self._sequence))
        found = b""
        while True:
            for answer in messages(self._socket.recv(RECEIVE)):
                if answer.sequence != self._sequence:
                    continue
                if not answer.is_error:
                    found = answer.body
                elif answer.error:
                    raise KernelRefused("tell what was asked", answer.error)
                else:
                    return found

    def dump(self, kind: int, body: bytes, keep: Callable[[bytes], bool] | None = None) -> Iterator[bytes]:
        """Bodies of all objects of a kind (GET_LINK, …), or those for which `keep` is true. Raises KernelRefused."""
        self._sequence += 1
        self._socket.send(message(kind, DUMP, body, self._sequence))
        found: list[bytes] = []
        while True:
            for answer in messages(self._socket.recv(RECEIVE)):
                if answer.sequence != self._sequence:
                    continue
                if answer.is_last:
                    return iter(found)
                if answer.is_error:
                    raise KernelRefused("list its objects", answer.error)
                if keep is None or keep(answer.body):
                    found.append(answer.body)

    def _batch(self, requests: Sequence[Request]) -> KernelRefused | None:
        pending: dict[int, Request] = {}
        parts = []
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            flags = request.flags | ACKNOWLEDGE
            parts.append(message(request.kind, flags, request.body, self._sequence))
        self._socket.send(b"".join(parts))
        failure = None
        while pending:
            for answer in messages(self._socket.recv(RECEIVE)):
                answered = pending.pop(answer.sequence, None)
                if not answered or not answer.is_error or not answer.error:
                    continue
                if answer.error not in answered.fine and failure is None:
                    failure = KernelRefused(answered.what, answer.error)
        return failure


class RouteSocket(NetlinkSocket):
    """One NETLINK_ROUTE socket."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)
