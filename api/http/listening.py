"""Listening sockets of our HTTP servers: a bounded number of connections, each with deadlines, and a bounded log.

aiohttp accepts every connection, so this file accepts them itself: a connection is counted (kit/connection_gate.py)
before anything is spent on it, must finish its TLS handshake and send its headers in time, and is uncounted at its end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.errors import ArgosyError, Invalid
from kit.connection_gate import ConnectionGate, Limits, origin_of

HANDSHAKE_TIME = 5.0
"""Seconds for a TLS handshake."""
IDLE_TIME = 15.0
"""Seconds without a whole request: for the headers of the first one, and between two."""
LOCAL_IDLE_TIME = 300.0
"""The same on unix sockets: clients there keep connections for reuse."""
LINGER_TIME = 2.0
"""Seconds in which the rest of a body that no handler reads is discarded."""
CLOSE_TIME = 1.0
"""Seconds that running requests get when the server stops."""
BACKLOG = 512
_PATIENCE = 1.0
"""Seconds until accepting is tried again when there are no file descriptors left."""
_RESET = struct.pack("ii", 1, 0)

LOCAL = Limits(strangers=2048, each=1024, known=0, known_each=0, rate=5_000, burst=10_000)
"""For unix sockets, where an origin is a user."""
REMOTE = Limits(strangers=256, each=32, known=1024, known_each=64, rate=50, burst=200)
"""For TLS. A connection costs some 300 KiB, a handshake a millisecond."""

BAD_REQUEST = 400

log = structlog.get_logger(__name__)
Identify = Callable[[asyncio.BaseTransport], str]
"""Returns who a connection is, by its certificate; "" for a stranger."""


def runner_of(app: web.Application, idle: float = IDLE_TIME) -> web.AppRunner:
    """The aiohttp runner that serves an application on our sites. `idle` is in seconds."""
    return web.AppRunner(
        app, access_log=None, handle_signals=False, keepalive_timeout=idle, lingering_time=LINGER_TIME,
        shutdown_timeout=CLOSE_TIME, logger=_http_log(), auto_decompress=False,
    )  # fmt: skip


class GuardedSite(web.BaseSite):
    """A listening socket with limits. `known` is called after the handshake."""

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        known: Identify = lambda _: "",
    ) -> None:
        super().__init__(runner, ssl_context=tls)
        self._listener = listener
        self._gate = ConnectionGate(limits)
        self._known = known
        self._open: dict[int, socket.socket | asyncio.Transport] = {}
        self._shaking: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        """The address it listens on, for aiohttp."""
        return f"{self._listener.getsockname()}"

    def __len__(self) -> int:
        return len(self._gate)

    async def start(self) -> None:
        """Start to accept connections."""
        await super().start()
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    async def stop(self) -> None:
        """Stop accepting; the runner ends open connections."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
        for task in self._shaking:
            task.cancel()
        await super().stop()

    # ── accepting ────────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._admit(connection, _origin(connection, address))

    def _pause(self, error: OSError) -> None:
        """Pause accepting: without file descriptors or memory the listener stays ready and keeps the loop busy."""
        log.error("a connection cannot be accepted", reason=error.strerror or str(error))
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(_PATIENCE, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _admit(self, connection: socket.socket, origin: str) -> None:
        entry = self._gate.enter(origin, self._loop.time())
        if entry is None:
            log.warning("a connection is refused: its sender has too many, or makes them too fast", sender=origin)
            _reset(connection)
            return
        if entry.instead is not None:
            self._drop(entry.instead)
        connection.setblocking(False)
        self._open[entry.id] = connection
        task = self._loop.create_task(self._serve(entry.id, connection, origin), name="connection")
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    async def _serve(self, id: int, connection: socket.socket, origin: str) -> None:
        server, tls = self._runner.server, self._ssl_context
        assert server is not None, "the runner is set up"
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: _CountedConnection(server(), lambda: self._gone(id)), connection, ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIME if tls else None,
                ssl_shutdown_timeout=CLOSE_TIME if tls else None,
            )  # fmt: skip
        except (OSError, TimeoutError) as error:
            self._gone(id)
            connection.close()
            log.info("a TLS handshake failed", sender=origin, reason=str(error)[:200] or type(error).__name__)
            return
        except BaseException:
            self._gone(id)
            connection.close()
            raise
        if id in self._open:
            self._open[id] = transport
            if (name := self._known(transport)) and not self._gate.identify(id, name):
                log.warning("a connection is refused: its sender has too many", sender=name)
                transport.abort()

    # ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _gone(self, id: int) -> None:
        self._open.pop(id, None)
        self._gate.leave(id)

    def _drop(self, id: int) -> None:
        """End a connection to make room for another."""
        match self._open.pop(id, None):
            case socket.socket() as connection:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # its handshake fails then
            case asyncio.Transport() as transport:
                transport.abort()


class _CountedConnection(asyncio.Protocol):
    """aiohttp's protocol; reports the end of the connection, and broken chunks to the reader of a body."""

    def __init__(self, inner: Any, gone: Callable[[], None]) -> None:
        self._inner = inner
        self._gone = gone
        for name in ("connection_made", "eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(inner, name))

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on. When they are no HTTP, aiohttp queues an error answer behind the request being read, which
        would wait for the rest of its body until a timeout (found by the fuzz tests): so its body fails at once."""
        queue = self._inner._messages
        before = len(queue)
        self._inner.data_received(data)
        reading = self._inner._current_request
        if len(queue) > before and reading is not None and getattr(queue[-1][0], "status", 0) == BAD_REQUEST:
            reading.content.set_exception(Invalid("the request body has broken chunks"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        self._inner.connection_lost(exc)


def tcp_listener(host: str, port: int) -> socket.socket:
    """A socket bound to the address; "" means all addresses. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def unix_listener(path: str) -> socket.socket:
    """A socket bound to the path, replacing one that an earlier process left. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            _remove_socket(path)
        listener.bind(path)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_socket(path: str) -> None:

    if stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
        os.unlink(path)


def _origin(connection: socket.socket, address: Any) -> str:
    if connection.family == socket.AF_UNIX:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return f"user {struct.unpack('3i', credentials)[1]}"
    return origin_of(str(address[0]))


def _reset(connection: socket.socket) -> None:
    """Close with a reset, so that no state is left, not even TIME_WAIT."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _http_log() -> logging.Logger:
    """aiohttp's logger. Faults of a client (no HTTP, disconnected too early) are one line without a traceback."""
    logger = logging.getLogger("argosy.http")
    if _without_traceback not in logger.filters:
        logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    # the handler has answered errors of ours; aiohttp meets them again when it reads the rest of the body
    if isinstance(error, HttpProcessingError | ConnectionError | ArgosyError):
        is_gone = isinstance(error, ConnectionError)
        record.msg = "a client went before its answer: %s" if is_gone else "a request that is no HTTP came from %s"
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger("argosy.http").isEnabledFor(logging.INFO)
    return True
