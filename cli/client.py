"""The HTTP client, over a unix socket or TCP. It uses the standard library's, which loads fast.

Answers are decoded to types of api/engine; streams are iterators of bytes.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from api.defaults import USER_AGENT
from cli.command_errors import ApiError, ConnectionLost, Failed, Unreachable
from kit.network_errors import describe_failure

T = TypeVar("T")
Body = bytes | Iterable[bytes]
Query = Mapping[str, str | int | bool]
Filters = Mapping[str, Iterable[str]]
Headers = Mapping[str, str]

_CHUNK = 65536


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Client:
    """One daemon. A connection is kept open between requests; streams get their own."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._idle: http.client.HTTPConnection | None = None

    @property
    def is_local(self) -> bool:
        """Whether the daemon is this machine's own."""
        return self.host.startswith("unix://")

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, path: str, kind: type[T], query: Query | None = None, filters: Filters | None = None) -> T:
        """A decoded answer. Raises ApiError, Unreachable."""
        return _decode(kind, self.raw("GET", path, query, filters))

    def get_json(self, path: str, query: Query | None = None, filters: Filters | None = None) -> Any:
        """An answer as plain JSON values."""
        return _decode(object, self.raw("GET", path, query, filters))

    def post(
        self, path: str, kind: type[T], body: object = None, query: Query | None = None, headers: Headers | None = None
    ) -> T:
        """Send a value; returns the decoded answer."""
        data = self.raw("POST", path, query, body=body, headers=headers)
        return _decode(kind, data or b"null")

    def send(self, path: str, body: object = None, query: Query | None = None, headers: Headers | None = None) -> None:
        """Send a value; the answer's body is ignored."""
        self.raw("POST", path, query, body=body, headers=headers)

    def delete(self, path: str, query: Query | None = None) -> None:
        """Send a DELETE request."""
        self.raw("DELETE", path, query)

    def raw(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        filters: Filters | None = None,
        body: object = None,
        headers: Headers | None = None,
    ) -> bytes:
        """One request; returns the complete body."""
        payload = None if body is None else msgspec.json.encode(body)
        if method == "GET" and self._idle:
            try:
                return self._exchange(self._idle, method, path, query, filters, payload)
            except (http.client.HTTPException, OSError):
                self._idle = None  # the daemon has closed it meanwhile: try once more on a new connection
        connection = self._connect()
        try:
            return self._exchange(connection, method, path, query, filters, payload, headers)
        except http.client.HTTPException as error:
            raise Unreachable(
                f"argosyd at {self.host} closed the connection: {error or type(error).__name__}"
            ) from None
        except OSError as error:
            raise self._unreachable(error) from None

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query | None,
        filters: Filters | None,
        payload: bytes | None,
        headers: Headers | None = None,
    ) -> bytes:
        response = self._ask(connection, method, path, query, filters, payload, "application/json", headers)
        data = response.read()
        self._idle = None if response.will_close else connection
        _raise_for(response.status, data)
        return data

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Body | None = None,
        content_type: str = "application/x-tar",
        headers: Headers | None = None,
        seconds: float | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """One request with a streamed answer (and body). With `seconds`, the answer ends after that time."""
        connection = self._connect()
        try:
            response = self._ask(connection, method, path, query, None, body, content_type, headers)
            if response.status >= 400:
                _raise_for(response.status, response.read())
            yield _chunks(response) if seconds is None else _chunks_for(response, connection, seconds)
        except http.client.HTTPException as error:
            raise ConnectionLost(f"argosyd at {self.host} broke off: {error or type(error).__name__}") from None
        except BrokenPipeError:
            raise Failed(f"argosyd at {self.host} stopped reading what it was sent") from None
        except OSError as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            path = parts.netloc + parts.path
            connection: http.client.HTTPConnection = _UnixConnection(path)
        elif parts.scheme == "tcp" and parts.hostname and parts.port:
            connection = _tcp(parts.hostname, parts.port)
        else:
            raise Failed(f"{self.host!r} is no address of a daemon; it is unix://PATH or tcp://HOST:PORT")
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from None
        return connection

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, PermissionError):
            return Unreachable(f"may not connect to argosyd at {self.host}: are you root, or in the socket's group?")
        return Unreachable(f"cannot reach argosyd at {self.host}: is it running? ({describe_failure(error)})")

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query | None,
        filters: Filters | None,
        body: Body | None,
        content_type: str,
        extra: Headers | None = None,
    ) -> http.client.HTTPResponse:
        values = {key: _text(value) for key, value in (query or {}).items()}
        if filters:
            shape = {name: dict.fromkeys(items, True) for name, items in filters.items()}
            values["filters"] = msgspec.json.encode(shape).decode()
        url = quote(path, safe="/:@") + (f"?{urlencode(values)}" if values else "")
        headers = {
            "User-Agent": USER_AGENT,
            **(extra or {}),
            **({"Content-Type": content_type} if body is not None else {}),
        }
        streamed = body is not None and not isinstance(body, bytes)
        connection.request(method, url, body=body, headers=headers, encode_chunked=streamed)
        return connection.getresponse()


def _tcp(host: str, port: int) -> http.client.HTTPConnection:
    """Plain, or with the client certificate that Docker's environment variables name."""
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(host, port)
    folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
    try:
        context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
        context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    except OSError as error:
        raise Failed(f"cannot use the certificates in {folder} (DOCKER_CERT_PATH): {error.strerror}") from None
    return http.client.HTTPSConnection(host, port, context=context)


def _text(value: str | int | bool) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while data := response.read1(_CHUNK):
        yield data


def _chunks_for(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, seconds: float
) -> Iterator[bytes]:
    """The chunks that arrive within `seconds`."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        connection.sock.settimeout(left)
        try:
            data = response.read1(_CHUNK)
        except TimeoutError:
            return
        if not data:
            return
        yield data


def _decode(kind: type[T], data: bytes) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError:
        raise Failed("argosyd answered with something that is not understood; is it another version?") from None


def _raise_for(status: int, data: bytes) -> None:
    if status < 400:
        return
    try:
        message = msgspec.json.decode(data, type=dict[str, object]).get("message")
    except msgspec.MsgspecError:
        message = data.decode(errors="replace")
    raise ApiError(status, str(message or f"argosyd answered with status {status}"))


def current() -> Client:
    """The client of the running command."""
    context = click.get_current_context()
    host = context.find_root().obj
    client: Client = context.find_root().meta.setdefault("argosy.client", Client(host))
    return client
