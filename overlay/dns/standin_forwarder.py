"""The stand-in's forwarder to other DNS servers: blocking, in threads. (argosyd's is forwarder.py, with asyncio.)

Imports almost nothing, to keep the stand-in small.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import deque

from overlay.dns import dns_message
from overlay.dns.dns_message import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT = 2.0
"""Seconds for a name server or a client to answer."""
THREADS = 64
"""Questions and TCP clients handled at a time."""
WAITING = 1024
"""Questions that may wait for a thread; more are dropped, and the client repeats them."""


class Workers:
    """A pool of threads that grows with the work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = 0

    def start(self, work: Callable[[], None]) -> bool:
        """Start this work; False when too much work waits."""
        with self._changed:
            if self._busy >= THREADS:
                if len(self._waiting) < WAITING:
                    self._waiting.append(work)
                    return True
                return False
            self._busy += 1
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        return True

    def finish(self, seconds: float) -> None:
        """Wait until all work is done, at most this long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, seconds)

    def _run(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Exception as error:
                print(f"a DNS question failed: {error!r}", file=sys.stderr, flush=True)
            with self._changed:
                if not self._waiting:
                    self._busy -= 1
                    self._changed.notify_all()
                    return
                work = self._waiting.popleft()


def ask(data: bytes, query: Query, servers: Sequence[str], tcp: bool) -> bytes:
    """The answer of the first server that gives one; SERVFAIL when none does."""
    for server in servers:
        id = os.urandom(2)
        try:
            answer = b"" if tcp else _by_udp(id + data[2:], query, server)
            if tcp or dns_message.is_truncated(answer):
                answer = _by_tcp(id + data[2:], query, server)
        except OSError:
            continue
        if answer:
            return query.id.to_bytes(2, "big") + answer[2:]
    return dns_message.response(query, dns_message.SERVFAIL)


def received(connection: socket.socket) -> bytes:
    """Read one message with its length prefix; empty at the end of the stream. Raises OSError."""
    head = _exactly(connection, 2)
    return _exactly(connection, int.from_bytes(head, "big")) if head else b""


def host_servers(resolv_conf: str) -> list[str]:
    """The name servers of the host."""
    try:
        with open(resolv_conf, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _by_udp(question: bytes, query: Query, server: str) -> bytes:
    """One server's answer, which may be truncated. Raises OSError."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(TIMEOUT)
        asking.connect((server, 53))
        asking.send(question)
        while True:
            answer = asking.recv(65535)
            if dns_message.is_answer(answer, int.from_bytes(question[:2], "big"), query.section):
                return answer


def _by_tcp(question: bytes, query: Query, server: str) -> bytes:
    """One server's answer over TCP; empty when it does not match the question. Raises OSError."""
    with socket.create_connection((server, 53), TIMEOUT) as asking:
        asking.sendall(len(question).to_bytes(2, "big") + question)
        answer = received(asking)
    return answer if dns_message.is_answer(answer, int.from_bytes(question[:2], "big"), query.section) else b""


def _exactly(connection: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes; empty when the stream ends before."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data
