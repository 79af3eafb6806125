"""Managers come, go and die: roles change at run time, and another leads. In a small lab of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.lab import lab as labs
from tests.e2e.world import World

LAB = os.environ.get("ARGOSY_TEST_LAB", "e2e") + "3"


@pytest.fixture(scope="module")
def three() -> Iterator[World]:
    if os.geteuid():
        pytest.skip("a lab needs root")
    labs.down(LAB)
    list(labs.up(LAB, managers=3, workers=1))
    try:
        yield World(labs.Lab.open(LAB))
    finally:
        labs.down(LAB)


def managers(world: World, host: str) -> dict[str, str]:
    """Host name → Leader, Reachable or Unreachable, of each that is a manager."""
    found: dict[str, str] = {}
    for node in world.api("/nodes", host=host):
        status: dict[str, Any] = node.get("ManagerStatus") or {}
        if status:
            found[node["Description"]["Hostname"]] = "leader" if status.get("Leader") else status["Reachability"]
    return found


def test_roles_change_and_a_dead_leader_is_replaced(three: World) -> None:
    three.argosy("node", "update", "--role", "manager", "w1")
    three.until(lambda: managers(three, "m1").get("w1") == "reachable")
    # the promoted host serves the cluster's API itself
    three.until(lambda: len(three.api("/nodes", host="w1")) == 4)

    three.argosy("node", "update", "--role", "worker", "m2")
    three.until(lambda: set(managers(three, "m1")) == {"m1", "m3", "w1"})
    three.until(lambda: "is not a swarm manager" in three.argosy("node", "ls", host="m2", code=1))

    leader = next(name for name, status in managers(three, "m3").items() if status == "leader")
    others = [host for host in ("m1", "m3", "w1") if host != leader]
    three.lab.host(leader).kill()

    def led() -> bool:
        """Both other managers see a new leader, and writes go through."""
        return all("leader" in {s for name, s in managers(three, host).items() if name != leader} for host in others)

    three.until(led, deadline=30.0)
    for host in others:
        three.argosy("network", "create", f"after-{host}", host=host)
    three.until(lambda: three.api("/nodes", host=others[0]) and _state(three, others[0], leader) == "down")

    # a dead manager is demoted, which takes it out of the store's quorum, and then removed
    assert "must be demoted" in three.argosy("node", "rm", leader, host=others[0], code=1)
    three.argosy("node", "update", "--role", "worker", leader, host=others[0])
    three.until(lambda: "rm" and three.argosy("node", "rm", leader, host=others[0]))
    assert leader not in {node["Description"]["Hostname"] for node in three.api("/nodes", host=others[0])}

    # one of the two that remain may not go
    assert "loss of quorum" not in three.argosy("node", "update", "--role", "worker", others[0], host=others[1])
    three.until(lambda: set(managers(three, others[1])) == {others[1]})
    refused = three.argosy("node", "update", "--role", "worker", others[1], host=others[1], code=1)
    assert "attempting to demote the last manager of the swarm" in refused


def test_a_removed_host_is_in_no_cluster_and_can_join_again(three: World) -> None:
    host = three.until(lambda: next((name for name in ("m1", "m3", "w1") if _is_alone(three, name)), ""))
    # etcd may be busy with its change of members for a moment
    three.until(lambda: three.argosy("node", "update", "--label-add", "writable=yes", host, host=host))
    worker = "m2"
    assert "not down" in three.argosy("node", "rm", worker, host=host, code=1)
    three.argosy("node", "rm", "--force", worker, host=host)
    three.until(lambda: three.api("/info", host=worker)["Swarm"]["LocalNodeState"] == "inactive")
    token = three.argosy("join-token", "--quiet", "worker", host=host).strip()
    three.argosy("join", "--token", token, f"{three.address(host)}:2377", host=worker)
    three.until(lambda: _state(three, host, worker) == "ready")

    # one that leaves is down at once, well before its lease would have run out
    three.argosy("leave", host=worker)
    three.until(lambda: _state(three, host, worker) == "down", deadline=4.0)


def _state(world: World, host: str, name: str) -> str:
    nodes = [node for node in world.api("/nodes", host=host) if node["Description"]["Hostname"] == name]
    return str(nodes[-1]["Status"]["State"]) if nodes else ""


def _is_alone(world: World, host: str) -> bool:
    """Whether the host is the only manager left."""
    if not world.lab.host(host).pid or not world.api("/info", host=host)["Swarm"]["ControlAvailable"]:
        return False
    return set(managers(world, host)) == {host}
