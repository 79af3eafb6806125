"""The messages between argosyd and the stand-in over a stream socket: a length, JSON, and file descriptors.

argosyd sends: `memory` (of pending_questions.py, with its fd), `names` of networks (None: removed), `room` (a
sandbox: its facts, with its two sockets), `drop`, `passive` (argosyd serves; repeated every BEAT), `end`. The stand-in
sends to each new connection: `version`, every `room` with its sockets, `done`.

Imports almost nothing, to keep the stand-in small.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections import deque

from overlay.plan.dns_zone import NetworkNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from overlay.interface import Sandbox

VERSION = "2"
"""An argosyd with another version takes the sockets and starts its own stand-in."""
BACKLOG = 64
"""Connections that may wait: one of each argosyd that was killed meanwhile."""
BEAT = 1.0
"""Seconds after which argosyd sends `passive` when it has no other message."""
_LENGTH = struct.Struct("!I")
_MOST_FRAME = 64 << 20


class Frames:
    """Messages from a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._fds: deque[int] = deque()
        self._data = bytearray()

    def read(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived; empty when there are none yet, None when the other side has gone."""
        found: list[dict[str, Any]] | None = []
        while found == []:
            try:
                data, fds, _flags, _address = socket.recv_fds(self.connection, 1 << 18, 64)
            except (BlockingIOError, InterruptedError):
                return []
            except OSError:
                return None
            self._fds.extend(fds)
            if not data:
                return None
            self._data += data
            found = self._complete()
        return found

    def _complete(self) -> list[dict[str, Any]] | None:
        found = []
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > _MOST_FRAME:
                return None
            if len(self._data) < _LENGTH.size + length:
                break
            found.append(json.loads(bytes(self._data[_LENGTH.size : _LENGTH.size + length])))
            del self._data[: _LENGTH.size + length]
        return found

    def take_sockets(self) -> tuple[socket.socket, socket.socket]:
        """The two sockets that came with a sandbox."""
        udp, tcp = socket.socket(fileno=self._fds.popleft()), socket.socket(fileno=self._fds.popleft())
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp

    def take_fd(self) -> int:
        """The file descriptor that came with a message."""
        return self._fds.popleft()

    def close(self) -> None:
        """Close the connection, and file descriptors that were not taken."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self.connection.close()


def frame(message: dict[str, Any]) -> bytes:
    """Encode a message."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(data)) + data


# ── sandboxes and names ──────────────────────────────────────────────────────────────────────────────────────────────


def sandbox_facts(sandbox: Sandbox, own: Mapping[str, str], internal: bool, namespace: str) -> dict[str, Any]:
    """The facts of a sandbox that the stand-in needs. `namespace` is the path at which it is mounted."""
    return {
        "task_name": sandbox.task_name,
        "hostname": sandbox.hostname,
        "interfaces": [[one.network_id, list(one.aliases)] for one in sandbox.interfaces],
        "own": dict(own),
        "internal": internal,
        "servers": list(sandbox.nameservers),
        "namespace": namespace,
    }


def names_facts(names: NetworkNames) -> dict[str, Any]:
    """A network's names as a message."""
    return {
        "services": {
            name: [[one.name, one.service_id, one.vip] for one in claims] for name, claims in names.services.items()
        },
        "ready": dict(names.ready),
        "tasks": dict(names.tasks),
        "pointers": dict(names.pointers),
    }


def names_of(id: str, facts: dict[str, Any]) -> NetworkNames:
    """A network's names from a message."""
    services = {name: [_Claim(*claim) for claim in claims] for name, claims in facts["services"].items()}
    ready = {key: tuple(addresses) for key, addresses in facts["ready"].items()}
    tasks = {key: tuple(addresses) for key, addresses in facts["tasks"].items()}
    return NetworkNames(id, services, ready, tasks, facts["pointers"])


class Caller:
    """A sandbox from a message: dns_zone.Caller."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.task_name, self.hostname = facts["task_name"], facts["hostname"]
        self.interfaces = [_Place(network, aliases) for network, aliases in facts["interfaces"]]


class _Place:
    """A sandbox's interface from a message: dns_zone.Place."""

    def __init__(self, network_id: str, aliases: Sequence[str]) -> None:
        self.network_id, self.aliases = network_id, aliases


class _Claim:
    """A service from a message: dns_zone.Claim."""

    def __init__(self, name: str, service_id: str, vip: str) -> None:
        self.name, self.service_id, self.vip = name, service_id, vip
