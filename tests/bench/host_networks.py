"""What one host's networks cost: 10,000 endpoints taken over, read again, changed; and the interfaces of a container.

Usage: unshare -n .venv/bin/python -m tests.bench.host_networks [endpoints]. Prints JSON; seconds are CPU seconds of the
process, which the machine's noise moves less, and wall seconds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment
from overlay.host_networks import HostNetworks
from overlay.interface import Interface, NetworkView, Sandbox

HOST, PEERS, SANDBOXES = "192.0.2.1", 50, 40


def view(endpoints: int) -> NetworkView:
    """One network of 50 hosts."""
    network = NetworkAssignment("n1", "bench", 4097, "10.0.0.0/16", "10.0.192.0/18", "10.0.0.1/16")
    hosts = [f"192.0.2.{number + 2}" for number in range(PEERS)]
    peers = [PeerAssignment(f"h{n}.n1", "n1", f"h{n}", host, f"10.0.0.{n + 2}") for n, host in enumerate(hosts)]
    orders = [
        EndpointAssignment(
            f"t{n}.n1", "n1", "web", f"t{n}", f"t{n}", f"h{n % PEERS}", hosts[n % PEERS], address(n), f"c{n}", True
        )
        for n in range(endpoints)
    ]
    return NetworkView({"n1": network}, {}, {one.id: one for one in orders}, {one.id: one for one in peers})


def address(number: int) -> str:
    """Of an endpoint."""
    return f"10.0.{1 + number // 250}.{1 + number % 250}"


async def timed(work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """What it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return {"seconds": round(time.perf_counter() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}


async def measure(endpoints: int, directory: Path) -> dict[str, object]:
    """One host, alone in its network namespace."""
    networks = HostNetworks(HOST, directory, resync=3600)
    rows: dict[str, object] = {"benchmark": "host networks", "endpoints": endpoints}
    await networks.start()

    async def update(count: int) -> None:
        networks.update(view(count))
        await networks.settled()

    async def read() -> None:
        kernel = networks._kernel._networks
        assert kernel is not None
        rows["objects"] = len(await networks._kernel.run(kernel.read))

    async def open_all() -> None:
        for number in range(SANDBOXES):
            one = Interface("n1", f"{address(12_000 + number)}/16")
            await networks.open(Sandbox(f"{number:012d}", "t", "web.1", "web", "web", (one,)))

    rows["applied"] = await timed(lambda: update(endpoints))
    rows["one more"] = await timed(lambda: update(endpoints + 1))
    rows["read"] = await timed(read)
    rows[f"{SANDBOXES} sandboxes"] = await timed(open_all)
    rows["PSS KiB"] = next(
        int(line.split()[1]) for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if line[:4] == "Pss:"
    )
    rows["removed"] = await timed(networks.remove_all)
    return rows


def main() -> None:
    """Measure, print."""
    endpoints = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for command in ("ip link set lo up", f"ip addr add {HOST}/24 dev lo"):
        subprocess.run(command.split(), check=True)
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(asyncio.run(measure(endpoints, Path(scratch))), indent=2))


if __name__ == "__main__":
    main()
