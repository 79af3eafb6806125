"""Real argosyd processes, each in a network and mount namespace of its own, on one link."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

DEADLINE = 60.0
ROOT = Path(__file__).parents[2]


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class HostUnderTest:
    """A namespace `name` with the address, and the argosyd in it."""

    def __init__(self, name: str, address: str, directory: Path) -> None:
        self.name, self.address, self.directory = name, address, directory
        self.socket = directory / "run" / "docker.sock"
        self.options: list[str] = []
        """More of argosyd's options."""
        self._process: asyncio.subprocess.Process | None = None

    def wire(self, bridge: str) -> None:
        """Make the namespace and put it on the switch."""
        ip("netns", "add", self.name)
        ip("link", "add", f"{self.name}p", "netns", bridge, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("-n", bridge, "link", "set", f"{self.name}p", "master", "sw0", "up")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")

    async def start(self) -> None:
        """Start argosyd, and wait until its socket answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "nsenter", f"--net=/run/netns/{self.name}", "unshare", "-m", sys.executable, "-m", "node.main",
                "--data-root", str(self.directory / "lib"), "--exec-root", str(self.directory / "run"),
                *self.options,
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        await self.until(self._pings)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End argosyd; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await asyncio.wait_for(self._process.wait(), DEADLINE)

    def remove(self) -> None:
        """Take everything away, whatever runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        etcd = self.directory / "lib" / "etcd" / "etcd.pid"
        if etcd.exists():
            try:
                os.kill(int(etcd.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """An API request; its code and what it answered."""
        connector = aiohttp.UnixConnector(str(self.socket))
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(DEADLINE)) as session,
            session.request(method, f"http://d{path}", data=data, headers=headers) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text[:1] in ("{", "[", '"') else text

    async def swarm(self) -> str:
        """The `Swarm` header of /_ping."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as session,
            session.head("http://d/_ping") as response,
        ):
            return response.headers["Swarm"]

    async def nodes(self) -> dict[str, str]:
        """Node id → state, as this manager sees them; none while it has nothing to say."""
        status, nodes = await self.call("GET", "/nodes")
        return {node["ID"]: node["Status"]["State"] for node in nodes} if status == 200 else {}

    async def until(self, holds: Any) -> None:
        """Until an asynchronous condition holds."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not await holds():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = sorted(self.directory.parent.glob("*/log"))
            told = "\n".join(f"── {log}\n{log.read_text()[-8000:]}" for log in logs)
            raise AssertionError(f"not so within {DEADLINE:.0f} s: {holds.__qualname__}\n{told}") from None

    async def _pings(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, (self.directory / "log").read_text()
        try:
            return bool(await self.swarm())
        except (aiohttp.ClientError, OSError):
            return False
