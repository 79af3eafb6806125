"""A tiny engine: real HTTP on a real unix socket, canned answers, everything it was asked for written down."""

from __future__ import annotations

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.codec import encode

ROOT = Path(__file__).parents[2]


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def filters(self) -> Any:
        return json.loads(self.query.get("filters", "{}"))


Answer = tuple[int, Any]


@dataclass
class Engine:
    """Answers by "METHOD /path" (a regular expression); a callable is handed the request."""

    socket: str
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, request: Asked) -> Answer:
        self.asked.append(request)
        for pattern, answer in reversed(self.answers.items()):
            if re.fullmatch(pattern, f"{request.method} {request.path}"):
                found = answer(request) if callable(answer) else answer
                return found if isinstance(found, tuple) else (200, found)
        return 404, {"message": f"page not found: {request.path}"}

    def sent(self, method: str, path: str) -> Asked:
        """The one request of that kind."""
        (found,) = [r for r in self.asked if r.method == method and re.fullmatch(path, r.path)]
        return found


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: Engine


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().strip(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        status, answer = self.server.engine.answer(
            Asked(self.command, parts.path, query, self._body(), dict(self.headers))
        )
        data = answer if isinstance(answer, bytes) else b"" if answer is None else encode(answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = str(tmp_path / "engine.sock")
    engine = Engine(path)
    with _Server(path, _Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield engine
        server.shutdown()
        thread.join()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def argosy(tmp_path: Path, engine: Engine) -> Run:
    """Run the command as a user does, against the engine, in an empty directory."""
    directory = tmp_path / "here"
    directory.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "ARGOSY_HOST": f"unix://{engine.socket}",
        "COLUMNS": "120",
    }

    def run(*args: str, stdin: bytes = b"", **extra: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *args],
            input=stdin,
            capture_output=True,
            cwd=directory,
            env=environment | extra,
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
