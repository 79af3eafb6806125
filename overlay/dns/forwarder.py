"""Forwards questions about other names to other DNS servers.

Each question has its own socket, so its own port, and a random id; answers that do not match both are ignored. Servers
are asked in order, two rounds; a truncated answer is fetched again over TCP.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from overlay.dns import dns_message
from overlay.dns.dns_message import Query

TIMEOUT = 2.0
"""Seconds for one server to answer."""
ROUNDS = 2
AT_ONCE = 512
"""Questions forwarded at a time; more wait."""


class HostServers:
    """The nameservers of the host's resolv.conf, read again when the file changes."""

    def __init__(self, path: Path = Path("/etc/resolv.conf")) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._servers: tuple[str, ...] = ()

    def servers(self) -> tuple[str, ...]:
        """IPv4 and IPv6 addresses, in order."""
        try:
            stat = os.stat(self._path)
            if self._stamp != (stat.st_mtime_ns, stat.st_ino):
                self._servers = tuple(_nameservers(self._path.read_text(errors="replace")))
                self._stamp = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            self._servers = ()
        return self._servers


def _nameservers(text: str) -> list[str]:
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


class Forwarder:
    """Asks other servers for sandboxes."""

    def __init__(self, port: int = 53, timeout: float = TIMEOUT) -> None:
        self._port = port
        self._timeout = timeout
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def ask(self, data: bytes, query: Query, servers: Sequence[str], tcp: bool) -> bytes:
        """The answer of the first server that gives one; SERVFAIL when none does."""
        async with self._slots:
            last = dns_message.response(query, dns_message.SERVFAIL)
            for server in list(servers) * ROUNDS:
                answer = await self._one(data, query, server, tcp)
                if answer is None:
                    continue
                last = query.id.to_bytes(2, "big") + answer[2:]
                if dns_message.code_of(answer) not in (dns_message.SERVFAIL, dns_message.REFUSED, dns_message.NOTIMP):
                    return last
            return last

    async def _one(self, data: bytes, query: Query, server: str, tcp: bool) -> bytes | None:
        id = secrets.randbelow(65536)
        question = struct.pack("!H", id) + data[2:]
        try:
            async with asyncio.timeout(self._timeout):
                if not tcp:
                    answer = await self._udp(question, id, query, server)
                    if not dns_message.is_truncated(answer):
                        return answer
                return await self._tcp(question, id, query, server)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None

    async def _udp(self, question: bytes, id: int, query: Query, server: str) -> bytes:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
            await loop.sock_connect(sock, (server, self._port))
            await loop.sock_sendall(sock, question)
            while True:
                answer = await loop.sock_recv(sock, 65535)
                if dns_message.is_answer(answer, id, query.section):
                    return answer

    async def _tcp(self, question: bytes, id: int, query: Query, server: str) -> bytes | None:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(struct.pack("!H", len(question)) + question)
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            return answer if dns_message.is_answer(answer, id, query.section) else None
        finally:
            writer.close()
