"""How long a dead host's tasks are still chosen, and when they run elsewhere: `python -m tests.bench.failover`.

A lab of three managers and two workers; a service with two tasks per host. Clients open a connection every 20 ms at the
door of each host that stays, and through the VIP from a container of it. The power of one host after the other is cut,
chosen by its role: whoever leads the managers, whoever leads etcd, a worker, a manager that leads nothing. Reported in
seconds after the cut: when the last connection was begun whose first packet nobody answered, as the client's kernel
tells (it had to send it again after a second), and when all tasks ran on others. Apart from that are counted
connections that were taken and not served in time (a host without power takes none: these met a task that starts on a
busy machine) and those that were refused (there is no health check, so a new task is asked before it listens). Prints
JSON, one line for each cut, and the sum of them.
"""

from __future__ import annotations

import argparse
import json
import os
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

PORT, EVERY, TIMEOUT = 8300, 0.02, 1.5
REPLICAS = 10
CLIENT = """
import os, socket, struct, sys, threading, time
address, port, every, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
def ask():
    began, said, stage, silent = time.monotonic(), "", "connect", 0
    try:
        with socket.socket() as c:
            c.settimeout(timeout)
            try:
                c.connect((address, port))
            finally:
                silent = struct.unpack_from("=I", c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
            stage = "answer"
            c.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            said = "" if b"200" in c.recv(100) else "no word"
    except OSError as error:
        said = f"{stage}: {type(error).__name__}"
    if silent:
        said = "no answer to the first packet"
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
            began, _, said = line.rstrip("\n").partition(" ")
            self.lines.append((float(began), said))

    def stop(self) -> None:
        """No more requests."""
        self._process.terminate()
        self._process.wait()

    def after(self, cut: float) -> dict[str, Any]:
        """What became of the connections that were begun after the cut."""
        later = [(began - cut, said) for began, said in self.lines if began >= cut]
        lost = [began for began, said in later if said == "no answer to the first packet"]
        return {
            "asked": len(later),
            "failed": dict(Counter(said for _, said in later if said)),
            "lost": len(lost),
            "last_lost_s": round(max(lost, default=0.0), 2),
            "slow": sum("Timeout" in said for _, said in later),
        }


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
    time.sleep(3)
    try:
        began, at = time.monotonic(), time.time()  # noqa: TID251 - to find it in logs
        world.lab.host(victim).kill()
        elsewhere = world.until(lambda: spread(world, eye, victim) and time.monotonic() - began)
        time.sleep(max(0.0, 10 - elsewhere))
    finally:
        for client in clients:
            client.stop()
    result = {"host": victim, "at": at, "load": os.getloadavg()[0], "elsewhere_s": round(elsewhere, 2)}
    rows = {client.where: client.after(began) for client in clients}
    result["last_lost_s"] = max(row["last_lost_s"] for row in rows.values())
    result["slow"] = sum(row["slow"] for row in rows.values())
    return {**result, "clients": rows}


def leader(world: World, host: str) -> str:
    """Name of the host that leads."""
    nodes = world.api("/nodes", host=host)
    return next((n["Description"]["Hostname"] for n in nodes if n.get("ManagerStatus", {}).get("Leader")), "")


def etcd_leader(world: World, eye: str) -> str:
    """Name of the host whose etcd leads."""
    hosts = [host for host in world.hosts if host.startswith("m") and world.lab.host(host).pid]
    ends = {f"https://{world.address(host)}:2379": host for host in hosts}
    files = "--cert node.crt --key node.key --cacert ca.crt"
    asked = (
        f"cd /var/lib/argosy/etcd; ETCDCTL_API=3 etcdctl {files} --endpoints {','.join(ends)} endpoint status -w json"
    )
    rows = json.loads(world.inside(eye, asked).strip().splitlines()[-1])
    found = [row for row in rows if row["Status"]["leader"] == row["Status"]["header"]["member_id"]]
    return next((ends[row["Endpoint"]] for row in found), "")


def choose(world: World, role: str) -> tuple[str, list[str]]:
    """A host of a role, and all that it is."""
    leads, holds = leader(world, "m1"), etcd_leader(world, "m1")
    victims = {
        "worker": lambda: "w1",
        "other worker": lambda: "w2",
        "leader": lambda: leads,
        "etcd leader": lambda: holds,
        "manager": lambda: next(host for host in ("m3", "m2", "m1") if host not in (leads, holds)),
    }
    victim = victims[role]()
    return victim, [name for name, host in (("leader", leads), ("etcd leader", holds)) if host == victim]


def back(world: World, victim: str, eye: str) -> None:
    """Power on again, and the tasks spread anew."""
    host = world.lab.host(victim)
    host.start()
    host.wait_until_answering()
    world.until(lambda: set(world.node_states(eye).values()) == {"ready"})
    world.argosy("service", "update", "--force", "-q", "--update-parallelism", "5", "web", host=eye)
    world.until(lambda: spread(world, eye))
    time.sleep(3)


def main() -> None:
    """The figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--name", default="failover")
    options.add_argument("--cuts", default="leader,worker,etcd leader,manager", help="roles, one after the other")
    options.add_argument("--keep", action="store_true", help="leave the lab as it is in the end")
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
        rows = []
        for role in given.cuts.split(","):
            victim, also = choose(world, role.strip())
            rows.append({"role": role.strip(), "also": also, **cut(world, victim)})
            print(json.dumps(rows[-1]), flush=True)
            back(world, victim, next(host for host in ("m2", "m3", "m1") if host != victim))
        keys = ("role", "host", "also", "last_lost_s", "elsewhere_s", "slow", "load")
        print(json.dumps([{key: row[key] for key in keys} for row in rows]))
    finally:
        if not given.keep:
            labs.down(given.name)


if __name__ == "__main__":
    main()
