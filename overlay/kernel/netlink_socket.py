"""Netlink sockets: requests in batches, dumps. Blocking: the kernel answers within the call.

A socket belongs for ever to the network namespace it was opened in, whichever thread uses it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from overlay.interface import NetworkFailure
from overlay.kernel import netlink_messages

NETLINK_NETFILTER = 12
BATCH = 64
"""Messages per send: their acknowledgements must fit into the receive buffer."""
RECEIVE = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """A message to be, and the error numbers that mean it was so already."""

    kind: int
    flags: int
    body: bytes
    what: str
    """For the error message: "add bridge ab4097"."""
    fine: frozenset[int] = frozenset()


ABSENT = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})
PRESENT = frozenset({errno.EEXIST})


class Refused(NetworkFailure):
    """The kernel refused one request."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"The kernel refused to {what}: {os.strerror(number)}.")
        self.number = number


class NetlinkSocket:
    """One socket of a netlink family: NETLINK_ROUTE, …"""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)
        self._socket.settimeout(10.0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def apply(self, requests: Sequence[Request]) -> None:
        """Send all; all are tried. Raises Refused for the first that failed."""
        failure: Refused | None = None
        for start in range(0, len(requests), BATCH):
            failure = self._batch(requests[start : start + BATCH]) or failure
        if failure:
            raise failure

    def ask(self, kind: int, body: bytes) -> bytes:
        """The body of the one object that answers. Raises Refused."""
        self._sequence += 1
        self._socket.send(netlink_messages.message(kind, 0, body, self._sequence))
        found = b""
        while True:
            for message in netlink_messages.messages(self._socket.recv(RECEIVE)):
                if message.sequence != self._sequence:
                    continue
                if message.kind != netlink_messages.ERROR:
                    found = message.body
                elif message.error:
                    raise Refused("tell what was asked", message.error)
                else:
                    return found

    def dump(self, kind: int, body: bytes, keep: Callable[[bytes], bool] | None = None) -> Iterator[bytes]:
        """Bodies of all objects of a kind (GETLINK, …), or those of them that are to be kept."""
        self._sequence += 1
        self._socket.send(netlink_messages.dump(kind, body, self._sequence))
        found: list[bytes] = []
        while True:
            for message in netlink_messages.messages(self._socket.recv(RECEIVE)):
                if message.sequence != self._sequence:
                    continue
                if message.kind == netlink_messages.DONE:
                    return iter(found)
                if message.kind == netlink_messages.ERROR:
                    raise Refused("list its objects", message.error)
                if keep is None or keep(message.body):
                    found.append(message.body)

    def _batch(self, requests: Sequence[Request]) -> Refused | None:
        pending: dict[int, Request] = {}
        parts = []
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            parts.append(netlink_messages.message(request.kind, request.flags, request.body, self._sequence))
        self._socket.send(b"".join(parts))
        failure = None
        while pending:
            for message in netlink_messages.messages(self._socket.recv(RECEIVE)):
                answered = pending.pop(message.sequence, None)
                if not answered or message.kind != netlink_messages.ERROR or not message.error:
                    continue
                if message.error not in answered.fine and failure is None:
                    failure = Refused(answered.what, message.error)
        return failure


class RouteSocket(NetlinkSocket):
    """One NETLINK_ROUTE socket."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)
