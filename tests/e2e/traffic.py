"""Load on every way into a service (VIP, each host's door, directly), from outside and from containers, and its tally.

Used by the loss test and by `python -m tests.bench.loss`.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contracts.etcd_process import free_ports
from tests.e2e.world import World

STACK, WEB = "loss", "loss_web"
DOOR, TALLY = 8601, 8602
"""Ports: the mesh's, each inside loader's on its host, the outside loader's on the machine."""
LOADER = Path(__file__).parent / "app" / "loader.py"
TEMPLATE = """
services:
  web:
    image: argosy-peer:1
    command: [python3, brisk.py]
    ports: ["{door}:8000"]
    networks: [one]
    stop_grace_period: 8s
    healthcheck: &ready
      test: [CMD, python3, -S, -E, -c, "import os; os.stat('/tmp/ready')"]
      interval: 60s
      timeout: 20s
      start_period: 60s
      start_interval: 250ms
    deploy:
      replicas: {replicas}
      update_config: {{order: stop-first, monitor: 500ms}}
      restart_policy: {{delay: 100ms}}
  still:
    image: argosy-peer:1
    command: [python3, brisk.py]
    networks: [one]
    healthcheck: *ready
    deploy:
      placement: {{constraints: [node.hostname == {still}]}}
  load:
    image: argosy-peer:1
    command: [python3, loader.py, "{rate}", "4", "8000", {ways}]
    ports:
      - {{target: 8000, published: {tally}, mode: host}}
    networks: [one]
    depends_on:
      web: {{condition: service_healthy}}
      still: {{condition: service_healthy}}
    deploy:
      mode: global
      placement: {{constraints: [{loaders}]}}
networks:
  one:
"""


@dataclass
class Score:
    """What became of the requests, over all loaders."""

    answered: Counter[str] = field(default_factory=Counter)
    """By "loader way kind"."""
    failed: int = 0
    slow: int = 0
    slowest: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)
    """Each with its loader; at most some hundred per loader."""
    late: list[dict[str, Any]] = field(default_factory=list)
    """Answered, but after a first packet had to be repeated, perhaps; likewise."""

    @property
    def asked(self) -> int:
        """All requests that have ended."""
        return self.answered.total() + self.failed


class Traffic:
    """Loaders on the machine and on some hosts. Use as a context; `still` is the host nothing happens to."""

    def __init__(
        self,
        world: World,
        spared: str,
        replicas: int = 4,
        outside: float = 500,
        inside: float = 200,
        clear: bool = True,
    ) -> None:
        """`spared` has no loader, so that it can be drained and cut; rates are requests per second of each loader.

        `clear`: remove the stack in the end.
        """
        self.world = world
        self.clear = clear
        self.hosts = [host for host in world.hosts if host != spared]
        doors = [f"{host}={world.address(host)}:{DOOR}" for host in world.hosts]
        ways = ["vip=web:8000", "still=still:8000", "direct=tasks.still:8000", *doors]
        self.stack = TEMPLATE.format(
            door=DOOR,
            tally=TALLY,
            replicas=replicas,
            still=world.hosts[0],
            rate=inside,
            ways=json.dumps(ways)[1:-1],
            loaders=f"node.hostname != {spared}",
        )
        self.tally = free_ports(1)[0]  # on this machine itself, where another run may have its loader
        self.command = [sys.executable, str(LOADER), str(outside), "8", str(self.tally), *doors]
        self.process: subprocess.Popen[bytes] | None = None
        self.latest: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Traffic:
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write(self.stack)
            file.flush()
            self.world.argosy("stack", "deploy", "-c", file.name, STACK)
        for host in self.world.hosts:
            self.world.until(lambda host=host: self.world.ask_text(host, DOOR))
        self.process = subprocess.Popen(self.command)
        self.world.until(lambda: len(self.look()) == 1 + len(self.hosts))
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.clear:
            self.world.argosy("stack", "rm", STACK)

    def look(self) -> dict[str, dict[str, Any]]:
        """The newest tally of each loader, by its name; a loader that does not answer keeps its last."""
        places = {"outside": ("127.0.0.1", self.tally)}
        places |= {f"in {host}": (self.world.address(host), TALLY) for host in self.hosts}
        for name, place in places.items():
            connection = http.client.HTTPConnection(*place, timeout=5)
            try:
                connection.request("GET", "/")
                self.latest[name] = json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError):
                pass
            finally:
                connection.close()
        return self.latest

    def score(self) -> Score:
        """All together, now."""
        score = Score()
        for name, tally in self.look().items():
            score.answered.update({f"{name}: {way}": number for way, number in tally["answered"].items()})
            score.failed += tally["failed"]
            score.slow += tally["slow"]
            score.slowest = max(score.slowest, tally["slowest"])
            score.failures += [{"loader": name, **failure} for failure in tally["failures"]]
            score.late += [{"loader": name, **one} for one in tally["late"]]
        return score

    def wait(self, requests: int, seconds: float) -> None:
        """Until so many more requests have ended. Raises AssertionError after so many seconds."""
        goal = self.score().asked + requests
        self.world.until(lambda: self.score().asked >= goal, seconds)


# ── what happens meanwhile ───────────────────────────────────────────────────────────────────────────────────────────


def update(*arguments: str) -> Callable[[World], None]:
    """Change the web service, and wait until the change is through."""

    def act(world: World) -> None:
        world.argosy("service", "update", "--env-add", f"TURN={time.monotonic()}", *arguments, WEB)

    return act


def scale(replicas: int) -> Callable[[World], None]:
    """Until so many tasks run, and no other."""

    def act(world: World) -> None:
        world.argosy("service", "scale", f"{WEB}={replicas}")
        world.until(lambda: running(world) == replicas)

    return act


def drain(host: str) -> Callable[[World], None]:
    """Until the service's tasks have left the host; then it is active again."""

    def act(world: World) -> None:
        world.argosy("node", "update", "--availability", "drain", host)
        try:
            world.until(lambda: all(world.host_of(task) != host for task in live(world)))
        finally:
            world.argosy("node", "update", "--availability", "active", host)

    return act


def kill_daemon(host: str) -> Callable[[World], None]:
    """SIGKILL to a host's argosyd, which is started again."""

    def act(world: World) -> None:
        world.inside(host, "kill -9 $(cat /run/argosy/argosyd.pid)")
        settled(world, host)

    return act


def kill_leader(world: World) -> None:
    """SIGKILL to the leader's argosyd and to its etcd."""
    leader = next(node for node in world.api("/nodes") if node.get("ManagerStatus", {}).get("Leader"))
    host = leader["Description"]["Hostname"]
    world.inside(host, "kill -9 $(cat /run/argosy/argosyd.pid) $(pidof etcd)")
    settled(world, host)


def settled(world: World, host: str) -> None:
    """Until a host's new argosyd answers, has its session, and every host is ready, as the first manager tells.

    Before that its rules are those of then: who is silent is waited for when tasks stop, but 5 s at most.
    """
    time.sleep(1.0)
    world.until(lambda: world.api("/info", host=host)["Swarm"]["LocalNodeState"] == "active")
    log = world.lab.paths.log(host)
    world.until(lambda: "event=session" in log.read_text().rpartition('event="argosyd starts"')[2])
    world.until(lambda: world.node_states() == dict.fromkeys(world.hosts, "ready"))


def live(world: World) -> list[dict[str, Any]]:
    """The service's tasks that run, those that were told to stop among them."""
    return [task for task in world.api("/tasks", service=WEB) if task["Status"]["State"] == "running"]


def running(world: World) -> int:
    """How many tasks of the service run."""
    return len(live(world))
