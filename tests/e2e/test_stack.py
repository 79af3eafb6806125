"""Stacks by both command lines, and that nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.world import World

STACKS = Path(__file__).parent / "stacks"
# What a host has of ours in its kernel and file system, as one comparable text.
INVENTORY = (
    "ip -o link | cut -d: -f2 | tr -d ' ' | sed 's/@.*//' | sort; ls /run/argosy/netns; ls /var/lib/argosy/containers;"
    " nft list ruleset | grep -c dnat; ls -d /sys/fs/cgroup/memory/argosy/*/ 2>/dev/null"
)


def test_stack_rm_leaves_nothing(world: World) -> None:
    world.until(lambda: not world.api("/tasks"))
    before = {host: world.inside(host, INVENTORY + "; true") for host in world.hosts}

    world.argosy("stack", "deploy", "-c", str(STACKS / "plain.yml"), "gone")
    assert all(world.inside(host, INVENTORY + "; true") != before[host] for host in world.hosts)
    world.argosy("stack", "rm", "gone")

    assert world.api("/services", label="com.docker.stack.namespace=gone") == []
    world.until(lambda: {h: world.inside(h, INVENTORY + "; true") for h in world.hosts} == before)
    world.until(lambda: world.api("/networks", label="com.docker.stack.namespace=gone") == [])


def test_deploying_twice_changes_nothing(world: World) -> None:
    world.argosy("stack", "deploy", "-c", str(STACKS / "plain.yml"), "twice")
    before = {s["ID"]: s["Version"]["Index"] for s in world.api("/services")}
    tasks = {task["ID"] for task in world.api("/tasks")}

    world.argosy("stack", "deploy", "-c", str(STACKS / "plain.yml"), "twice")

    assert {s["ID"]: s["Version"]["Index"] for s in world.api("/services")} == before
    assert {task["ID"] for task in world.api("/tasks")} == tasks
    world.argosy("stack", "rm", "twice")


def test_the_docker_command_works_unmodified(world: World) -> None:
    docker = world.docker
    assert {"m1", "w1", "w2"} <= set(docker("node", "ls", "--format", "{{.Hostname}}").split())

    docker("network", "create", "-d", "overlay", "dnet")
    assert "dnet" in docker("network", "ls")
    assert json.loads(docker("network", "inspect", "dnet"))[0]["Driver"] == "overlay"

    docker("service", "create", "--detach=false", "-q", "--name", "dsvc", "--network", "dnet", "-p", "8301:8000",
           "--update-monitor", "500ms", "argosy-peer:1", "python3", "peer.py")  # fmt: skip
    assert "dsvc" in docker("service", "ls")
    assert "Running" in docker("service", "ps", "dsvc")
    assert json.loads(docker("service", "inspect", "dsvc"))[0]["Spec"]["Name"] == "dsvc"
    docker("service", "scale", "dsvc=3")
    assert "3/3" in docker("service", "ls", "--filter", "name=dsvc")
    assert world.until(lambda: world.ask("w1", 8301))
    assert "peer is ready" in world.until(lambda: docker("service", "logs", "dsvc"))
    docker("service", "rm", "dsvc")
    world.until(lambda: docker("network", "rm", "dnet"))
    assert "dnet" not in docker("network", "ls")


def test_docker_stack_deploys_a_plain_file(world: World) -> None:
    docker = world.docker
    docker("stack", "deploy", "--detach=false", "--resolve-image", "never", "-c", str(STACKS / "plain.yml"), "dstack")
    assert "dstack" in docker("stack", "ls")
    assert "2/2" in docker("stack", "services", "dstack")
    assert docker("stack", "ps", "--filter", "desired-state=running", "-q", "dstack").count("\n") == 3
    docker("stack", "rm", "dstack")
    world.until(lambda: not world.api("/services", label="com.docker.stack.namespace=dstack"))


def test_images_are_listed_inspected_and_removed(world: World) -> None:
    assert "argosy-peer" in world.argosy("image", "ls")
    assert "argosy-peer:1" in world.argosy("image", "inspect", "argosy-peer:1")
    said = world.argosy("image", "rm", "no-such:1", code=1)
    assert "no-such" in said


def test_service_logs_come_from_every_host(world: World) -> None:
    world.argosy("service", "create", "--name", "chatty", "--mode", "global", "argosy-peer:1", "python3", "peer.py")

    said = world.until(lambda: (text := world.argosy("service", "logs", "chatty")).count("peer is ready") == 3 and text)

    assert all(f"@{host}" in said for host in world.hosts)
    world.argosy("service", "rm", "chatty")
