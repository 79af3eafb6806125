"""`stack deploy` tells success from failure by its exit code, and failure with the failing task's own reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.world import World

HOSTS, MESH = 8361, 8362
GOOD, CLASHING = "good", "port-clash"

HEAD = f"""
x-base: &base
  image: argosy-peer:1
  command: [python3, -c, "import time; time.sleep(600)"]
  stop_signal: SIGKILL
  network_mode: none
  deploy: {{restart_policy: &soon {{delay: 100ms}}}}
# It never counts as running, however long its end takes on a slow machine.
x-ends: &ends
  <<: *base
  healthcheck: &never {{test: [CMD, nothing], interval: 1h}}
x-published: &published
  image: argosy-peer:1
  command: [python3, -c, "import time; time.sleep(600)"]
  stop_signal: SIGKILL
  ports: ["{MESH}:80"]
services:
"""


@dataclass(frozen=True)
class Case:
    """A stack of services, and how its deploy ends."""

    services: str
    reason: str
    options: tuple[str, ...] = ()
    tail: str = ""


WELL = """
  web: {<<: *published, deploy: {update_config: {failure_action: rollback, order: start-first, monitor: 20s}}}
  once: {<<: *base, command: [python3, -c, "exit(0)"], deploy: {}, restart: "no"}
  retried: {<<: *base, command: [python3, -c, "exit(0)"], deploy: {}, restart: on-failure}
  job: {<<: *base, command: [python3, -c, "exit(0)"], deploy: {mode: replicated-job, replicas: 2}}
"""
BADLY = WELL.replace("*published,", '*published, healthcheck: *never, command: [python3, -c, "exit(9)"],')

CASES = {
    GOOD: Case(BADLY, "the update failed and was rolled back: failure or early termination of task"),
    "image-missing": Case(
        "  web: {<<: *base, image: '127.0.0.1:1/no-such:1'}",
        " times: no image 127.0.0.1:1/no-such:1: it is not on this host",
    ),
    "crash-loop": Case(
        '  web: {<<: *ends, command: [python3, -c, "exit(7)"]}', " times: task: non-zero exit (7)"
    ),
    "ends-well-for-ever": Case(
        '  web: {<<: *ends, command: [python3, -c, "exit(0)"]}', " times, with exit code 0; what is to run once needs"
    ),
    "unhealthy": Case(
        '  web: {<<: *base, healthcheck: {test: [CMD, python3, -c, "exit(1)"], interval: 100ms, retries: 1}}',
        " times: task: non-zero exit (137): unhealthy container: its health check failed once",
    ),
    "constraint": Case(
        '  web: {<<: *base, deploy: {placement: {constraints: ["node.labels.nowhere == yes"]}}}',
        "1 task found no node: no suitable node (scheduling constraints not satisfied on 3 nodes)",
        ("--patience", "1s"),
    ),
    "resources": Case(
        "  web: {<<: *base, deploy: {resources: {reservations: {memory: 900G}}}}",
        "1 task found no node: no suitable node (insufficient resources on 3 nodes)",
        ("--patience", "1s"),
    ),
    "host-port": Case(
        f"  web: {{<<: *published, ports: [{{target: 8, published: {HOSTS}, mode: host}}], deploy: {{replicas: 4}}}}",
        "1 task found no node: no suitable node (host-mode port already in use on 3 nodes)",
        ("--patience", "1s"),
    ),
    CLASHING: Case(
        "  web: *published", f"port-clash_web: port {MESH}/tcp is already in use by service {GOOD}_web"
    ),
    "secret": Case(
        "  web: {<<: *base, secrets: [lost]}",
        "secret lost is external and does not exist",
        tail="secrets: {lost: {external: true}}",
    ),
    "one-shot": Case(
        '  web: {<<: *ends, command: [python3, -c, "exit(5)"], deploy: {}, restart: "no"}',
        "web.1 failed: task: non-zero exit (5)",
    ),
    "job": Case(
        '  web: {<<: *base, command: [python3, -c, "exit(4)"], deploy: {mode: replicated-job, restart_policy: *soon}}',
        " times: task: non-zero exit (4)",
    ),
    "deadline": Case(
        '  web: {<<: *base, healthcheck: {test: [CMD, python3, -c, "exit(1)"], interval: 100ms, start_period: 1h}}',
        "not converged within 4s; it goes on in the background\ndeadline_web has 0 of 1 tasks ready: 1 ",
        ("--timeout", "4s"),
    ),
}  # fmt: skip


@pytest.fixture
def stacks(world: World) -> Iterator[None]:
    yield
    world.argosy("stack", "rm", "--detach", *(name for name in CASES if name not in (CLASHING, "secret")))


def test_the_exit_code_is_0_when_all_converged_and_else_the_failing_task_says_why(
    world: World, tmp_path: Path, stacks: None
) -> None:
    def deploy(name: str, services: str, *options: str, code: int, tail: str = "") -> str:
        file = tmp_path / f"{name}-{code}.yml"
        file.write_text(f"{HEAD}{services}\n{tail}")
        return world.argosy("stack", "deploy", *options, "-c", str(file), name, code=code)

    said = deploy(GOOD, WELL, code=0)
    assert f"{GOOD}_once: 1/1 converged" in said

    begin = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        waits = {
            name: pool.submit(deploy, name, case.services, *case.options, code=1, tail=case.tail)
            for name, case in CASES.items()
        }
        told = {name: wait.result() for name, wait in waits.items()}
    wrong = [
        f"{name}: {case.reason!r} is not in\n{told[name]}"
        for name, case in CASES.items()
        if case.reason not in told[name]
    ]
    assert not wrong, "\n".join(wrong)
    assert "non-zero exit (9)" in told[GOOD]
    assert time.monotonic() - begin < 120  # long before the default deadline of 10 minutes
