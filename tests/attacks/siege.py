"""A manager's argosyd in a namespace of its own, and somebody outside who opens connections from many addresses.

`ARGOSY_ATTACK_TREE=DIR` runs another checkout's argosyd: that is how an attack is seen to succeed before its defence.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kit import cgroups

T = TypeVar("T")
TREE = Path(os.environ.get("ARGOSY_ATTACK_TREE") or Path(__file__).parents[2])
DEADLINE = 60.0
API, HOST = 2377, 7946
_CLONE_NEWNET = 0x40000000


class Fortress:
    """The daemon. Its namespace has the address 10.97.0.1; who attacks has 10.97.0.2 to 10.97.0.250."""

    address = "10.97.0.1"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.options = [] if "ARGOSY_ATTACK_TREE" in os.environ else ["--memory-limit", "1g", "--etcd-memory", "600m"]
        self.inside, self.outside = f"sgi{os.getpid()}", f"sgo{os.getpid()}"
        self.socket = directory / "run" / "docker.sock"
        self.log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Wire the namespaces, start argosyd and make a cluster."""
        for name in (self.inside, self.outside):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.inside, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        ip("-n", self.inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.outside, "addr", "add", "10.97.0.2/24", "dev", "eth0")
        for name in (self.inside, self.outside):
            ip("-n", name, "link", "set", "eth0", "up")
        lines = [f"addr add 10.97.0.{number}/24 dev eth0" for number in range(3, 60)]
        subprocess.run(["ip", "-n", self.outside, "-batch", "-"], input="\n".join(lines), text=True, check=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "nsenter", f"--net=/run/netns/{self.inside}", "unshare", "-m", sys.executable, "-m", "node.main",
                    "--data-root", str(self.directory / "lib"), "--exec-root", str(self.directory / "run"),
                    *self.options,
                ],
                cwd=TREE, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(TREE)},
            )  # fmt: skip
        until(lambda: self.call("GET", "/_ping")[0] == 200)
        assert self.call("POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"})[0] == 200

    def raze(self) -> None:
        """Take everything away."""
        pids = list((self.directory / "lib" / "etcd").glob("etcd.pid"))
        for pid in [self.pid if self._process else 0, *(int(path.read_text()) for path in pids)]:
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._process:
            self._process.wait()
        for name in (self.inside, self.outside):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        for group in self.groups():
            cgroups.remove(group)

    @property
    def pid(self) -> int:
        """argosyd's: nsenter and unshare become it."""
        assert self._process is not None
        return self._process.pid

    def groups(self) -> list[str]:
        """The control groups of argosyd and of its etcd."""
        found = [f"argosy/argosyd-{self.pid}"] if self._process else []
        named = Path("/sys/fs/cgroup").glob("memory/argosy/etcd-*"), Path("/sys/fs/cgroup").glob("argosy/etcd-*")
        return found + [f"argosy/{path.name}" for paths in named for path in paths]

    @property
    def memory(self) -> int:
        """KiB that argosyd has."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """A request at the unix socket; (0, None) while there is none."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection = http.client.HTTPConnection("d", timeout=30)
        try:
            connection.sock = self.local()
            headers = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[", b'"') else text
        except OSError:
            return 0, None
        finally:
            connection.close()

    def local(self) -> socket.socket:
        """A connection to the unix socket."""
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(30)
        made.connect(str(self.socket))
        return made

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────────────

    def dial(self, port: int, source: str = "10.97.0.2", timeout: float = 3.0) -> socket.socket:
        """A TCP connection from outside. Raises OSError."""
        return self._outside(lambda: socket.create_connection((self.address, port), timeout, (source, 0)))

    def flood(self, port: int, count: int, sources: int) -> list[socket.socket]:
        """So many connections from so many addresses that are still open a moment later."""

        def dial_all() -> list[socket.socket]:
            made = []
            for number in range(count):
                with suppress(OSError):
                    source = (f"10.97.0.{2 + number % sources}", 0)
                    made.append(socket.create_connection((self.address, port), 2.0, source))
            return made

        opened = self._outside(dial_all)
        time.sleep(1.0)
        return [one for one in opened if is_open(one)]

    def _outside(self, work: Callable[[], T]) -> T:
        """Do it in the outer namespace: a socket stays in the one where it was made."""
        result: list[T] = []
        errors: list[OSError] = []

        def run() -> None:
            with open(f"/run/netns/{self.outside}") as file:
                _setns(file.fileno())
            try:
                result.append(work())
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return result[0]

    def tls(
        self, source: str = "10.97.0.2", context: ssl.SSLContext | None = None, timeout: float = 10.0
    ) -> ssl.SSLSocket:
        """A TLS connection to the managers' port. Raises OSError."""
        raw = self.dial(API, source)
        raw.settimeout(timeout)
        return (context or blind()).wrap_socket(raw, server_hostname="swarm-manager")

    def ask(self, method: str, path: str, body: bytes = b"", source: str = "10.97.0.2") -> tuple[int, Any]:
        """A request of a stranger to the managers' port. (0, …) when the connection is not taken, or cut."""
        try:
            with self.tls(source) as connection:
                head = f"{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                return status_of(read_all(connection))
        except OSError as error:
            return 0, str(error)


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    """One of a module's own."""
    fortress = Fortress(tmp_path_factory.mktemp("fortress"))
    try:
        fortress.build()
        yield fortress
    finally:
        fortress.raze()


def blind() -> ssl.SSLContext:
    """TLS that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def status_of(answer: bytes) -> tuple[int, Any]:
    """Status and body of an answer."""
    head, _, text = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.") else 0
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode(errors="replace")


def read_all(connection: socket.socket, most: int = 1 << 20) -> bytes:
    """What comes until the other side closes, or the connection's timeout."""
    data = b""
    try:
        while len(data) < most and (piece := connection.recv(65536)):
            data += piece
    except OSError:
        pass
    return data


def drip(connection: socket.socket, start: bytes, piece: bytes, seconds: float) -> float:
    """Send the start, then a piece a second; the seconds until the other side ends the connection or answers."""
    began = time.monotonic()
    connection.sendall(start)
    connection.settimeout(1.0)
    while (passed := time.monotonic() - began) < seconds:
        try:
            connection.recv(4096)
            return time.monotonic() - began
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - began
        try:
            connection.sendall(piece)
        except OSError:
            return time.monotonic() - began
    return passed


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not ended it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def until(holds: Callable[[], T], seconds: float = DEADLINE) -> T:
    """Until it says something true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not so within {seconds:.0f} s"
        time.sleep(0.1)
    return found


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def closing(connections: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """Close them all at the end."""
    try:
        yield connections
    finally:
        for one in connections:
            one.close()


def _setns(fd: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
