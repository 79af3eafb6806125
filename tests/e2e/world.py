"""A lab as tests see it: the real commands, the real API, and waiting for conditions."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from deploy.lab.lab import Lab

T = TypeVar("T")
IMAGE = "argosy-peer:1"
"""The image that the tests' containers run (tests/e2e/app)."""
DEADLINE = 90.0
"""Seconds until a condition must hold; generous, for the machine is noisy."""


class World:
    """One lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hosts = [host.name for host in lab.hosts]

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    def socket(self, host: str = "m1") -> str:
        """A host's API socket."""
        return str(self.lab.paths.socket(host))

    def argosy(self, *arguments: str, host: str = "m1", stdin: str = "", code: int = 0) -> str:
        """Run the argosy command against a host; it must exit with `code`. Returns what it printed."""
        command = [sys.executable, "-m", "cli.main", "--host", f"unix://{self.socket(host)}", *arguments]
        return self._run(command, stdin, code)

    def docker(self, *arguments: str, host: str = "m1", stdin: str = "", code: int = 0) -> str:
        """Run the docker command against a host; the test is skipped where there is none."""
        if not shutil.which("docker"):
            pytest.skip("there is no docker client on this machine")
        return self._run(["docker", "-H", f"unix://{self.socket(host)}", *arguments], stdin, code)

    def inside(self, host: str, script: str, code: int = 0) -> str:
        """Run a shell script inside a lab host."""
        return self._run(self.lab.host(host).enter(["sh", "-c", script]), "", code)

    def address(self, host: str) -> str:
        """A host's address."""
        return self.lab.host(host).host.address

    @staticmethod
    def _run(command: list[str], stdin: str, code: int) -> str:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, check=False)
        told = f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, told
        return done.stdout + done.stderr

    # ── the API ──────────────────────────────────────────────────────────────────────────────────────────────────

    def api(self, path: str, host: str = "m1", **filters: str) -> Any:
        """GET a path of the Engine API; filters as name="value"."""
        if filters:
            wanted = {name.replace("_", "-"): {value: True} for name, value in filters.items()}
            path += ("&" if "?" in path else "?") + "filters=" + urllib.parse.quote(json.dumps(wanted))
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(self.socket(host))
        connection.request("GET", path)
        answer = connection.getresponse()
        value = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, value
        return value

    def tasks(self, service: str, state: str = "running") -> list[dict[str, Any]]:
        """A service's tasks in a state that are wanted in it too."""
        return [
            task
            for task in self.api("/tasks", service=service)
            if task["Status"]["State"] == state and task["DesiredState"] == state
        ]

    def host_of(self, task: dict[str, Any]) -> str:
        """Name of the host a task is on."""
        nodes = {node["ID"]: node["Description"]["Hostname"] for node in self.api("/nodes")}
        return str(nodes[task["NodeID"]])

    def node_states(self, at: str = "m1") -> dict[str, str]:
        """Host name → state, as one host tells it."""
        return {node["Description"]["Hostname"]: node["Status"]["State"] for node in self.api("/nodes", host=at)}

    # ── traffic ──────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, url: str, timeout: float = 5.0) -> Any:
        """Fetch JSON from the machine, which is a client outside the cluster. Raises OSError."""
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise OSError(f"{url}: {error.code} {error.read().decode()}") from None

    def ask(self, host: str, port: int, path: str = "/", **query: str) -> Any:
        """Ask the peer behind a published port."""
        text = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self.get(f"http://{self.address(host)}:{port}{path}{text}")

    def ask_text(self, host: str, port: int) -> str:
        """Ask a server that does not speak JSON. Raises OSError, HTTPException."""
        connection = http.client.HTTPConnection(self.address(host), port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────

    def until(self, what: Callable[[], T], deadline: float = DEADLINE) -> T:
        """Until `what` returns something true without an OSError or AssertionError; returns that."""
        end = time.monotonic() + deadline
        last: object = None
        while time.monotonic() < end:
            try:
                value = what()
                if value:
                    return value
                last = value
            except (OSError, AssertionError, http.client.HTTPException) as error:
                last = error
            time.sleep(0.2)
        raise AssertionError(f"not within {deadline} s; last: {last}")

    def until_running(self, service: str, number: int) -> list[dict[str, Any]]:
        """Until exactly so many tasks of a service run."""

        def right() -> list[dict[str, Any]] | None:
            tasks = self.tasks(service)
            return tasks if len(tasks) == number else None

        return self.until(right) or []
