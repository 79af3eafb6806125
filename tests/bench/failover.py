"""How long a dead host's tasks are still chosen, and when they run elsewhere: `python -m tests.bench.failover`.

A lab of three managers and two workers; a service with two tasks per host. Clients open a connection every 20 ms at the
door of each host that stays, and through the VIP from a container of it. The power of one host after the other is cut:
of the one that leads the managers and etcd at once, of a worker, of whoever leads then. Reported in seconds after the
cut: when the last request began that got no answer, and when all tasks ran on other hosts. (Some are refused: there is
no health check, so that a new task is asked before it listens.) Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from deploy.demo.image import build
from deploy.lab import lab as labs
from tests.e2e.world import IMAGE, World

PORT, EVERY, TIMEOUT = 8300, 0.02, 1.0
REPLICAS = 10
AIM = 4.0
"""Seconds after a cut from which on no request is to be lost."""
CLIENT = """
import os, socket, sys, threading, time
address, port, every, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
def ask():
    began, said = time.monotonic(), ""
    try:
        with socket.create_connection((address, port), timeout) as c:
            c.settimeout(timeout)
            c.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            said = "" if b"200" in c.recv(100) else "no answer"
    except OSError as error:
        said = type(error).__name__ + str(error)
    try:
        os.write(1, f"{began} {said}\\n".encode())
    except OSError:
        os._exit(0)  # nobody listens any more
while True:
    threading.Thread(target=ask, daemon=True).start()
    time.sleep(every)
"""


class Client:
    """Requests without end, from a namespace or from the machine."""

    def __init__(self, where: str, prefix: list[str], address: str, port: int) -> None:
        self.where = where
        self.lines: list[tuple[float, str]] = []
        command = [*prefix, sys.executable, "-u", "-c", CLIENT, address, str(port), str(EVERY), str(TIMEOUT)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            began, _, said = line.strip().partition(" ")
            self.lines.append((float(began), said))

    def stop(self) -> None:
        """No more requests."""
        self._process.terminate()
        self._process.wait()

    def after(self, cut: float) -> dict[str, Any]:
        """What became of the requests that began after the cut."""
        later = [(began - cut, said) for began, said in self.lines if began >= cut]
        kinds = Counter(said for _, said in later if said)
        dead = [began for began, said in later if "Timeout" in said]
        late = [round(began, 2) for began in dead if began > AIM]
        return {"asked": len(later), "failed": kinds, "late_s": late, "last_lost_s": round(max(dead, default=0.0), 2)}


def spread(world: World, host: str, without: str = "") -> bool:
    """Whether all tasks run, and none of them on a host."""
    tasks = world.api("/tasks", host=host, service="web")
    nodes = {node["ID"]: node["Description"]["Hostname"] for node in world.api("/nodes", host=host)}
    running = [t for t in tasks if t["Status"]["State"] == "running" and t["DesiredState"] == "running"]
    return len(running) == REPLICAS and all(nodes[task["NodeID"]] != without for task in running)


def vip_client(world: World, host: str, eye: str) -> Client:
    """A client in a container of a host."""
    vip = world.api("/services/web", host=eye)["Endpoint"]["VirtualIPs"][-1]["Addr"].partition("/")[0]
    sandbox = world.inside(host, "ls /run/argosy/netns | head -1").strip()
    inside = world.lab.host(host).enter(["nsenter", f"--net=/run/argosy/netns/{sandbox}", "--"])
    return Client(f"vip at {host}", inside, vip, 8000)


def cut(world: World, victim: str) -> dict[str, Any]:
    """Cut one host's power and look what becomes of it."""
    stay = [host for host in world.hosts if host != victim and world.lab.host(host).pid]
    eye = next(host for host in stay if host.startswith("m"))
    clients = [Client(f"door of {host}", [], world.address(host), PORT) for host in stay]
    clients += [vip_client(world, host, eye) for host in stay]
    try:
        time.sleep(3)
        began = time.monotonic()
        world.lab.host(victim).kill()
        elsewhere = world.until(lambda: spread(world, eye, victim) and time.monotonic() - began)
        time.sleep(6)
    finally:
        for client in clients:
            client.stop()
    result = {"host": victim, "elsewhere_s": round(elsewhere, 2)}
    result["clients"] = {client.where: client.after(began) for client in clients}
    result["last_lost_s"] = max(row["last_lost_s"] for row in result["clients"].values())
    return result


def leader(world: World, host: str) -> str:
    """Name of the host that leads."""
    nodes = world.api("/nodes", host=host)
    return next((n["Description"]["Hostname"] for n in nodes if n.get("ManagerStatus", {}).get("Leader")), "")


def back(world: World, victim: str, eye: str) -> None:
    """Power on again, and the tasks spread anew."""
    host = world.lab.host(victim)
    host.start()
    host.wait_until_answering()
    world.until(lambda: set(world.node_states(eye).values()) == {"ready"})
    world.argosy("service", "update", "--force", "-q", "--update-parallelism", "5", "web", host=eye)
    world.until(lambda: spread(world, eye))


def main() -> None:
    """The figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--name", default="failover")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it takes its lab down
    labs.down(given.name)
    for line in labs.up(given.name, managers=3, workers=2):
        print(line, file=sys.stderr)
    try:
        world = World(labs.Lab.open(given.name))
        with tempfile.TemporaryDirectory() as directory:
            archive = Path(directory) / "peer.tar"
            build(archive, IMAGE, Path(__file__).parent.parent / "e2e" / "app")
            for host in world.hosts:
                world.argosy("image", "load", "-i", str(archive), host=host)
        world.argosy(
            "service", "create", "-q", "--name", "web", "--replicas", str(REPLICAS),
            "-p", f"{PORT}:8000", IMAGE, "python3", "peer.py",
        )  # fmt: skip
        world.until(lambda: spread(world, "m1"))
        time.sleep(3)
        for victim in ["m1", "w1", "", ""][: given.rounds]:
            eye = next(host for host in ("m2", "m3", "m1") if host != victim)
            victim = victim or leader(world, eye)
            eye = next(host for host in ("m2", "m3", "m1") if host != victim)
            role = "leads" if leader(world, eye) == victim else "does not lead"
            print(json.dumps({"role": role, **cut(world, victim)}, indent=1), flush=True)
            back(world, victim, eye)
    finally:
        labs.down(given.name)


if __name__ == "__main__":
    main()
