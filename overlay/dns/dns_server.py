"""The DNS server of one sandbox: 127.0.0.11:53 inside it, served by the agent's event loop.

The resolver answers known names (resolver.py); all other questions are forwarded. While argosyd is away the stand-in
serves the same sockets (standin.py) and forwards again what has not been answered (pending_questions.py).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from overlay.dns import dns_message, question_queue
from overlay.dns.dns_message import Malformed, Query
from overlay.dns.forwarder import Forwarder
from overlay.dns.pending_questions import SandboxQuestions
from overlay.dns.resolver import Resolver
from overlay.kernel.namespaces import DnsSockets

log = structlog.get_logger(__name__)

CONNECTIONS = 32
PENDING = 256
"""Forwarded questions of one sandbox at a time; more are dropped, and the client repeats them."""
IDLE = 10.0
"""Seconds a TCP client may be silent."""


class DnsServer:
    """Serves the DNS sockets of one sandbox."""

    def __init__(
        self,
        resolver: Resolver,
        sockets: DnsSockets,
        forwarder: Forwarder,
        servers: Callable[[], Sequence[str]],
        pending: SandboxQuestions,
    ) -> None:
        self.resolver = resolver
        self._sockets = sockets
        self._forwarder = forwarder
        self._servers = servers
        self._pending = pending
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        loop = asyncio.get_running_loop()
        loop.add_reader(sockets.udp, self._read_udp)
        loop.add_reader(sockets.tcp, self._accept)

    def close(self) -> None:
        """Stop serving and close the sockets; questions being forwarded stay pending."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sockets.udp)
        loop.remove_reader(self._sockets.tcp)
        for task in self._tasks:
            task.cancel()
        self._sockets.close()

    def end(self) -> None:
        """Stop serving a removed sandbox; its pending questions are removed."""
        self.close()
        self._pending.remove_all()

    def _read_udp(self) -> None:
        question_queue.serve(self._sockets.udp, self._respond)

    def _respond(self, data: bytes, client: tuple[str, int]) -> None:
        if answer := self.resolver.cached(data) or self._local(data, client):
            self._send(answer, client)

    def _send(self, answer: bytes, client: tuple[str, int]) -> None:
        try:
            self._sockets.udp.sendto(answer, client)
        except OSError:
            pass  # the buffer is full or the client is gone; a client repeats its question

    def _local(self, data: bytes, client: tuple[str, int]) -> bytes | None:
        """The answer to a question that is not cached; None for a question that is now being forwarded."""
        try:
            query = dns_message.parse_query(data)
        except Malformed:
            return dns_message.refuse(data, dns_message.FORMERR)
        answers = [dns_message.truncate(answer, query) for answer in self.resolver.answer(query)]
        if not answers:
            if len(self._tasks) < PENDING:
                slot = self._pending.add(data, client)
                task = self._start(self._forward_udp(data, query, client))
                # cancelled: argosyd ends, and the stand-in forwards it again
                task.add_done_callback(lambda task: None if task.cancelled() else self._pending.remove(slot))
            return None
        self.resolver.remember(data, answers)
        return answers[0]

    async def _forward_udp(self, data: bytes, query: Query, client: tuple[str, int]) -> None:
        answer = await self._forwarder.ask(data, query, self._servers(), tcp=False)
        self._send(dns_message.truncate(answer, query), client)

    def _accept(self) -> None:
        try:
            connection, _ = self._sockets.tcp.accept()
        except OSError:
            return
        connection.setblocking(False)
        if self._connections >= CONNECTIONS:
            connection.close()
            return
        self._connections += 1
        self._start(self._serve_tcp(connection))

    async def _serve_tcp(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                await self._converse(reader, writer)
            finally:
                writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            self._connections -= 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE):
                data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            try:
                query = dns_message.parse_query(data)
            except Malformed:
                return
            answers = self.resolver.answer(query)
            answer = answers[0] if answers else await self._forwarder.ask(data, query, self._servers(), tcp=True)
            writer.write(len(answer).to_bytes(2, "big") + answer)
            async with asyncio.timeout(IDLE):
                await writer.drain()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a DNS question failed", error=repr(error))
