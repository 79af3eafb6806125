"""Ports published on this host only: each is held by a bound socket, so that no other process can take it unnoticed.

The sockets receive nothing: packets for the port are translated to the container before they reach a socket.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from api.service.ports import PortConfig
from overlay.interface import NetworkFailure
from overlay.plan.nft_fragments import HostPort


class HeldPorts:
    """The ports published on this host only, by the sandbox that they lead to."""

    def __init__(self) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}
        self._taken: dict[tuple[str, int, str], str] = {}
        """Sandbox ids by protocol, number and host address ("" for all of them)."""

    def hold(self, id: str, ports: Iterable[PortConfig], address: str) -> tuple[HostPort, ...]:
        """Take all ports for a sandbox, or none. Published port 0 gets a free one.

        Raises NetworkFailure when something else holds one of them.
        """
        held = []
        try:
            for port in ports:
                number = self._hold(id, port.protocol, port.published_port, port.host_ip)
                held.append(HostPort(port.protocol, number, address, port.target_port, port.host_ip))
        except BaseException:
            self.release(id)
            raise
        return tuple(held)

    def retake(self, id: str, ports: Iterable[HostPort]) -> None:
        """Hold a former agent's ports again; one that another process has taken stays published all the same."""
        for port in ports:
            try:
                self._hold(id, port.protocol, port.published, port.host_ip)
            except NetworkFailure:
                self._taken[port.protocol, port.published, port.host_ip] = id

    def release(self, id: str) -> None:
        """Release a sandbox's ports."""
        for sock in self._sockets.pop(id, ()):
            sock.close()
        for key in [key for key, owner in self._taken.items() if owner == id]:
            del self._taken[key]

    def release_all(self) -> None:
        """Release all ports."""
        for id in list(self._sockets):
            self.release(id)

    def _hold(self, id: str, protocol: str, number: int, host_ip: str) -> int:
        if (protocol, number, host_ip) in self._taken:
            raise NetworkFailure(_held(number, protocol) + " by another container of this host.")
        sock = _bind(protocol, number, host_ip)
        if sock:
            self._sockets.setdefault(id, []).append(sock)
            number = number or int(sock.getsockname()[1])
        if not number:
            raise NetworkFailure(f"This host cannot pick a free {protocol} port; publish a port of your choice.")
        self._taken[protocol, number, host_ip] = id
        return number


def _held(number: int, protocol: str) -> str:
    return f"Port {number}/{protocol} of this host is already in use"


def _bind(protocol: str, number: int, host_ip: str) -> socket.socket | None:
    """A socket bound to the port; None if the kernel lacks the protocol: then no other process can hold it either."""
    kind = {"udp": socket.SOCK_DGRAM}.get(protocol, socket.SOCK_STREAM)
    try:
        sock = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC, 132 if protocol == "sctp" else 0)
    except OSError:
        return None
    try:
        sock.bind((host_ip or "0.0.0.0", number))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise NetworkFailure(_held(number, protocol) + ".") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise NetworkFailure(f"Port {number}/{protocol} cannot be published: no address {host_ip} here.") from None
        raise NetworkFailure(f"Port {number}/{protocol} cannot be published: {error.strerror}.") from error
    return sock
