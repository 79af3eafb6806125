"""A real etcd for tests: on the loopback, without TLS, killed and started at will."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class EtcdProcess:
    """One member that is a cluster of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory, self._options = directory, options
        self._client, self._peer = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"127.0.0.1:{self._client}"

    def start(self) -> None:
        """Start it, with the data it had before, and wait until it is healthy."""
        peer = f"http://127.0.0.1:{self._peer}"
        with (self._directory / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "etcd", "--name=test", f"--data-dir={self._directory / 'data'}",
                    f"--listen-client-urls=http://{self.endpoint}", f"--advertise-client-urls=http://{self.endpoint}",
                    f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                    f"--initial-cluster=test={peer}", "--max-txn-ops=10000", "--max-request-bytes=33554432",
                    *self._options,
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        self._wait_healthy()

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.endpoint}/health", timeout=2) as answer:
                    if b'"true"' in answer.read():
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"etcd is not healthy; see {self._directory}/etcd.log")
            time.sleep(0.05)
