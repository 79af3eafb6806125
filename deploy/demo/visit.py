"""A client that visits the demo through every host of the lab and prints which containers answered, and where.

Usage: python -m deploy.demo.visit LAB STACK. Exits 1 unless several containers on several hosts answered.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
import urllib.parse
import urllib.request
from typing import Any

from deploy.lab.lab import Lab

PORT = 8080
VISITS = 3
"""Requests through each host."""


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over the API socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def main(lab_name: str, stack: str) -> int:
    """Visit all hosts and print the answers. Returns the exit code."""
    lab = Lab.open(lab_name)
    places = _containers(str(lab.paths.socket(lab.hosts[0].name)), stack)
    answered: set[str] = set()
    for host in lab.hosts:
        for _ in range(VISITS):
            page = _fetch(f"http://{host.host.address}:{PORT}/")
            web, api = page["web"], page["api"]
            answered.add(web)
            where, there = places.get(web, "?"), places.get(api, "?")
            print(
                f"  {host.name} {host.host.address}:{PORT} -> web {web} on {where} -> api {api} on {there}"
                f" -> data: visit {page['visits']}"
            )
    hosts = {places.get(name) for name in answered}
    print(f"  {len(answered)} web containers on {len(hosts)} hosts answered")
    return 0 if len(answered) > 1 and len(hosts) > 1 else 1


def _containers(path: str, stack: str) -> dict[str, str]:
    """Hostname inside the container (its short id) → name of its host."""
    nodes = {node["ID"]: node["Description"]["Hostname"] for node in _get(path, "/nodes")}
    label = f'{{"label":{{"com.docker.stack.namespace={stack}":true}}}}'
    tasks = _get(path, f"/tasks?filters={urllib.parse.quote(label)}")
    return {
        task["Status"]["ContainerStatus"]["ContainerID"][:12]: nodes[task["NodeID"]]
        for task in tasks
        if task["Status"].get("ContainerStatus") and task["Status"]["State"] == "running"
    }


def _get(path: str, url: str) -> Any:
    connection = _UnixConnection(path)
    connection.request("GET", url)
    return json.load(connection.getresponse())


def _fetch(url: str, attempts: int = 20) -> dict[str, Any]:
    while True:
        attempts -= 1
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                page: dict[str, Any] = json.load(answer)
                return page
        except OSError:
            if attempts == 0:
                raise
            time.sleep(0.25)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
