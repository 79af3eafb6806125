"""How fast a service scales: 1 → 30 → 100 containers (busybox sleep) on a lab of three hosts, until all run.

Usage: .venv/bin/python -m tests.bench.scale [--keep]. Prints JSON: per step the seconds, containers per second, and the
CPU that each argosyd and its children (conmon, the OCI runtime) spent per container. The machine's noise is in the
seconds; the CPU figures move less.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from deploy.docker_archive import write_archive
from deploy.lab import lab as labs
from tests.e2e.world import World

LAB = "bench"
IMAGE = "argosy-busybox:1"
STEPS = (30, 100)
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Bring up a lab, scale, print, take it down."""
    labs.down(LAB)
    for line in labs.up(LAB, managers=1, workers=2):
        print(line, file=sys.stderr)
    world = World(labs.Lab.open(LAB))
    try:
        print(json.dumps(measure(world), indent=2))
    finally:
        if "--keep" not in sys.argv:
            labs.down(LAB)


def measure(world: World) -> dict[str, object]:
    """One row per step."""
    with tempfile.TemporaryDirectory() as scratch:
        world.argosy("image", "load", "-i", str(_busybox(Path(scratch))))
    # One on each host first, so that every host has fetched the image before the clock starts.
    world.argosy("service", "create", "--name", "warm", "--mode", "global", IMAGE, "sleep", "100000")
    world.argosy("service", "create", "--name", "bench", "--stop-grace-period", "0s", IMAGE, "sleep", "100000")
    rows = [_scale(world, start, end) for start, end in zip((1, *STEPS), STEPS, strict=False)]
    started, service = time.monotonic(), world.api("/services/bench")["ID"]
    world.argosy("service", "rm", "bench")
    world.until(lambda: all(task["ServiceID"] != service for task in world.api("/tasks")))
    removal = time.monotonic() - started
    world.argosy("service", "rm", "warm")
    return {
        "benchmark": "scale",
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "hosts": len(world.hosts)},
        "steps": rows,
        "removal_seconds": round(removal, 2),
    }


def _scale(world: World, start: int, end: int) -> dict[str, object]:
    before, began = _cpu(world), time.monotonic()
    world.argosy("service", "scale", "--detach", f"bench={end}")
    command = time.monotonic() - began
    while world.api("/services?status=true", name="bench")[0]["ServiceStatus"]["RunningTasks"] < end:
        time.sleep(0.05)
        if time.monotonic() - began > 120:
            raise SystemExit(f"not {end} containers within 120 s")
    seconds, after = time.monotonic() - began, _cpu(world)
    count = end - start
    return {
        "from": start,
        "to": end,
        "seconds": round(seconds, 3),
        "command_seconds": round(command, 3),
        "containers_per_second": round(count / seconds, 1),
        "cpu_ms_per_container": {
            host: {
                "argosyd": round(1000 * (after[host][0] - before[host][0]) / count * _share(host, world), 2),
                "children": round(1000 * (after[host][1] - before[host][1]) / count * _share(host, world), 2),
            }
            for host in world.hosts
        },
    }


def _share(host: str, world: World) -> float:
    """Containers are spread evenly, so each host started one in so many."""
    return float(len(world.hosts))


def _cpu(world: World) -> dict[str, tuple[float, float]]:
    """Seconds of CPU of each host's argosyd: its own, and of the children it has waited for."""
    result = {}
    for host in world.hosts:
        pid = world.inside(host, "cat /run/argosy/argosyd.pid").strip()
        fields = world.inside(host, f"cat /proc/{pid}/stat").rpartition(")")[2].split()
        own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
        result[host] = (own / _TICKS, children / _TICKS)
    return result


def _busybox(scratch: Path) -> Path:
    root = scratch / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    archive = scratch / "busybox.tar"
    write_archive(archive, IMAGE, [root], {"Env": ["PATH=/bin"]})
    return archive


if __name__ == "__main__":
    main()
