"""What argosyd and the stand-in say to each other over a stream socket: a length, JSON, and file descriptors with it.

argosyd says: `memory` (of pending_questions.py, with its fd), `names` of networks (None: gone), `room` (a sandbox: its
facts, with its two sockets), `drop`, `passive` (argosyd serves; and again every BEAT), `end`. The stand-in says to each
that connects: `version`, every `room` with its sockets, `done`. Imports next to nothing, for the stand-in's sake.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections import deque

from overlay.plan.dns_zone import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from overlay.interface import Sandbox

VERSION = "2"
"""Another version of argosyd takes the sockets and starts a stand-in of its own."""
BACKLOG = 64
"""Connections that may wait: of each argosyd that was killed meanwhile, one."""
BEAT = 1.0
"""Seconds after which argosyd says that it serves, when it has nothing else to say."""
_LENGTH = struct.Struct("!I")
_MOST_FRAME = 64 << 20


class Frames:
    """Messages from a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._fds: deque[int] = deque()
        self._data = bytearray()

    def read(self) -> list[dict[str, Any]] | None:
        """Messages that have come; none when there are none yet, None when the other side is gone."""
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
        """End it; what nobody took is closed."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self.connection.close()


def frame(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(data)) + data


# ── sandboxes and names ──────────────────────────────────────────────────────────────────────────────────────────────


def sandbox_facts(sandbox: Sandbox, own: Mapping[str, str], internal: bool, namespace: str) -> dict[str, Any]:
    """What the stand-in must know of a sandbox. `namespace` is the path that holds it."""
    return {
        "task_name": sandbox.task_name,
        "hostname": sandbox.hostname,
        "interfaces": [[one.network_id, list(one.aliases)] for one in sandbox.interfaces],
        "own": dict(own),
        "internal": internal,
        "servers": list(sandbox.nameservers),
        "namespace": namespace,
    }


def names_facts(names: Names) -> dict[str, Any]:
    """A network's names as they are sent."""
    return {
        "services": {
            name: [[one.name, one.service_id, one.vip] for one in claims] for name, claims in names.services.items()
        },
        "ready": dict(names.ready),
        "tasks": dict(names.tasks),
        "pointers": dict(names.pointers),
    }


def names_of(id: str, facts: dict[str, Any]) -> Names:
    """The same as they were sent."""
    services = {name: [_Claim(*claim) for claim in claims] for name, claims in facts["services"].items()}
    ready = {key: tuple(addresses) for key, addresses in facts["ready"].items()}
    tasks = {key: tuple(addresses) for key, addresses in facts["tasks"].items()}
    return Names(id, services, ready, tasks, facts["pointers"])


class Caller:
    """A sandbox that was sent, as dns_zone.py wants it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.task_name, self.hostname = facts["task_name"], facts["hostname"]
        self.interfaces = [_Place(network, aliases) for network, aliases in facts["interfaces"]]


class _Place:
    """A sandbox's place on a network, as dns_zone.py wants it."""

    def __init__(self, network_id: str, aliases: Sequence[str]) -> None:
        self.network_id, self.aliases = network_id, aliases


class _Claim:
    """A service, as dns_zone.py wants it."""

    def __init__(self, name: str, service_id: str, vip: str) -> None:
        self.name, self.service_id, self.vip = name, service_id, vip
