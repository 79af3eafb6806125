"""Any process may die at any time, and users must not notice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World
from tests.overlay.asker import asking

PORT = 8201
STACKS = Path(__file__).parent / "stacks"
SESSION = "ss -Htn state established '( dport = :7946 )' | grep ."
"""Succeeds while the host's agent is connected to a manager."""
KILL_ARGOSYD = "until kill -9 $(cat /run/argosy/argosyd.pid); do sleep 0.05; done"
"""The file may still name the one that was killed before."""


@pytest.fixture(scope="module")
def up(world: World) -> Iterator[World]:
    world.argosy(
        "service", "create", "--name", "steady", "--replicas", "3", "--replicas-max-per-node", "1",
        "--restart-delay", "500ms", "-p", f"{PORT}:8000", "argosy-peer:1", "python3", "peer.py",
    )  # fmt: skip
    for host in world.hosts:
        world.until(lambda host=host: world.ask(host, PORT))
    world.until(lambda: len(starts(world)) == 3)  # running is not yet listening
    yield world
    world.argosy("service", "rm", "steady")


def pids(world: World) -> dict[str, int]:
    """Task → pid of its container."""
    return {task["ID"]: task["Status"]["ContainerStatus"]["PID"] for task in world.tasks("steady")}


def starts(world: World) -> dict[str, Any]:
    """Container → when its process started; proves that it is the same process."""
    return {answer["host"]: answer["started"] for answer in (world.ask("m1", PORT) for _ in range(15))}


def answers_everywhere(world: World) -> bool:
    """Whether each host's port answers."""
    return all(world.ask(host, PORT) for host in world.hosts)


def test_a_killed_agent_adopts_its_containers_again(up: World) -> None:
    before, started = pids(up), starts(up)

    for host in ("w1", "w2"):
        up.inside(host, KILL_ARGOSYD)
    assert answers_everywhere(up)
    up.until(lambda: up.node_states() == dict.fromkeys(up.hosts, "ready"))
    up.until(lambda: pids(up) == before)

    assert starts(up) == started
    up.until(lambda: answers_everywhere(up))


def test_no_question_for_a_name_is_lost_while_argosyd_is_killed_again_and_again(up: World) -> None:
    task = up.until(lambda: next((t for t in up.tasks("steady") if up.host_of(t) == "w1"), None))
    assert task is not None
    namespace = f"--net=/run/argosy/netns/{task['Status']['ContainerStatus']['ContainerID']}"

    with asking(up.lab.host("w1").enter(["nsenter", namespace, "--"]), "steady"):
        for turn in range(6):
            up.inside("w1", KILL_ARGOSYD)
            # Its session must come back before its lease ends: a host taken for dead loses the task, and its sandbox.
            up.until(lambda: up.inside("w1", SESSION))
            time.sleep(0.5 + 0.2 * turn)
        up.until(lambda: up.node_states()["w1"] == "ready")

    assert task["ID"] in {one["ID"] for one in up.tasks("steady")}, "it was replaced: w1 was away for too long"


def test_a_killed_manager_comes_back_and_nothing_was_touched(up: World) -> None:
    before, started = pids(up), starts(up)

    up.inside("m1", KILL_ARGOSYD)
    assert answers_everywhere(up)
    up.until(lambda: up.node_states() == dict.fromkeys(up.hosts, "ready"))
    up.until(lambda: pids(up) == before)

    assert starts(up) == started
    up.argosy("service", "create", "--name", "after", "argosy-peer:1", "python3", "peer.py")
    up.argosy("service", "rm", "after")


def test_a_killed_etcd_comes_back_and_nothing_was_touched(up: World) -> None:
    before, started = pids(up), starts(up)

    up.inside("m1", "kill -9 $(pidof etcd)")
    assert answers_everywhere(up)
    up.until(lambda: up.inside("m1", "pidof etcd"))
    up.until(lambda: "after" in up.argosy("service", "create", "--name", "after", "-q", "argosy-peer:1",
                                          "python3", "peer.py") or True)  # fmt: skip
    up.argosy("service", "rm", "after")
    up.until(lambda: pids(up) == before)

    assert starts(up) == started


def test_a_killed_container_is_replaced_by_the_restart_policy(up: World) -> None:
    before = pids(up)
    victim, pid = next(iter(before.items()))
    task = up.api(f"/tasks/{victim}")

    # The pid is as its host sees it, so it is killed from inside.
    up.inside(up.host_of(task), f"kill -9 {pid}")

    up.until(lambda: victim not in pids(up) and len(pids(up)) == 3)
    assert up.api(f"/tasks/{victim}")["Status"]["State"] == "failed"
    assert "137" in up.api(f"/tasks/{victim}")["Status"]["Err"]


def test_a_dead_workers_tasks_run_elsewhere(world: World) -> None:
    world.argosy("service", "create", "--name", "mobile", "--replicas", "4", "-p", "8202:8000", "argosy-peer:1",
                 "python3", "peer.py")  # fmt: skip
    try:
        assert "w2" in {world.host_of(task) for task in world.until_running("mobile", 4)}

        world.lab.host("w2").kill()

        world.until(lambda: world.node_states()["w2"] == "down")
        tasks = world.until(
            lambda: (
                (found := world.until_running("mobile", 4))
                and all(world.host_of(task) != "w2" for task in found)
                and found
            )
        )
        assert len(tasks) == 4
        world.until(lambda: world.ask("m1", 8202) and world.ask("w1", 8202))
        power_on(world, "w2")
        world.until(lambda: sum(not ended(task) for task in world.api("/tasks", service="mobile")) == 4)
        assert ids(world.until_running("mobile", 4)) == ids(tasks), "those that run elsewhere stay"
    finally:
        power_on(world, "w2")
        world.argosy("service", "rm", "mobile")


def power_on(world: World, name: str) -> None:
    """Start a host if it is off, and wait until it is ready."""
    host = world.lab.host(name)
    if not host.pid:
        host.start()
        host.wait_until_answering()
    world.until(lambda: world.node_states()[name] == "ready")


def ids(tasks: list[dict[str, Any]]) -> set[str]:
    return {task["ID"] for task in tasks}


def ended(task: dict[str, Any]) -> bool:
    """Whether its host has said that it runs no more."""
    return task["Status"]["State"] in ("failed", "shutdown", "complete")


def test_a_partitioned_workers_tasks_run_elsewhere_and_strays_are_stopped(world: World) -> None:
    world.argosy("service", "create", "--name", "split", "--replicas", "3", "argosy-peer:1", "python3", "peer.py")
    try:
        lost = {t["ID"] for t in world.until_running("split", 3) if world.host_of(t) == "w1"}
        assert lost

        world.argosy("lab", "partition", "w1", "--name", world.lab.record.name)
        world.until(lambda: world.node_states()["w1"] == "down")
        world.until(lambda: all(world.host_of(task) != "w1" for task in world.until_running("split", 3)))

        world.argosy("lab", "heal", "w1", "--name", world.lab.record.name)
        world.until(lambda: world.node_states()["w1"] == "ready")
        world.until(lambda: all(world.api(f"/tasks/{id}")["Status"]["State"] == "shutdown" for id in lost))
        running = {c["Labels"]["com.docker.swarm.task.id"] for c in world.api("/containers/json", host="w1")}
        assert not running & lost
    finally:
        world.argosy("lab", "heal", "w1", "--name", world.lab.record.name)
        world.argosy("service", "rm", "split")
