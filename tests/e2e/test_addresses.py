"""A host whose address changes comes back under the new one by itself, worker or only manager; containers run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.world import World

PORT = 8207


@pytest.fixture(scope="module")
def up(world: World) -> Iterator[World]:
    world.argosy(
        "service", "create", "-q", "--name", "rooted", "--replicas", "3", "--replicas-max-per-node", "1",
        "-p", f"{PORT}:8000", "argosy-peer:1", "python3", "peer.py",
    )  # fmt: skip
    world.until_running("rooted", 3)
    yield world
    world.argosy("service", "rm", "rooted")


@contextmanager
def moved(world: World, host: str, address: str) -> Iterator[None]:
    """The host has another address, as after a new lease of DHCP; then its own again."""
    own = world.address(host)
    try:
        _set_address(world, host, address)
        yield
    finally:
        _set_address(world, host, own)
        world.until(lambda: settled(world, host, own))


def _set_address(world: World, host: str, address: str) -> None:
    route = f"ip route replace default via {world.lab.record.machine_address}"
    world.inside(host, f"ip addr flush dev eth0 scope global; ip addr add {address}/24 dev eth0; {route}")


def settled(world: World, host: str, address: str) -> bool:
    """Whether all nodes are ready, and the host is known at the address."""
    nodes = {node["Description"]["Hostname"]: node for node in world.api("/nodes")}
    if {node["Status"]["State"] for node in nodes.values()} != {"ready"}:
        return False
    manager = nodes[host].get("ManagerStatus", {}).get("Addr", address)
    return bool(nodes[host]["Status"]["Addr"] == address and manager.partition(":")[0] == address)


def hosts_behind(world: World, address: str) -> set[str]:
    """Containers that answer at the mesh's door at an address."""
    return {world.get(f"http://{address}:{PORT}/")["host"] for _ in range(12)}


def running(world: World) -> dict[str, Any]:
    """Task → pid of its container."""
    return {task["ID"]: task["Status"]["ContainerStatus"]["PID"] for task in world.tasks("rooted")}


@pytest.mark.parametrize(("host", "last"), [("w2", 172), ("m1", 71)])
def test_a_host_with_a_new_address_is_found_there(up: World, host: str, last: int) -> None:
    address = f"{up.address(host).rpartition('.')[0]}.{last}"
    with moved(up, host, address):
        up.until(lambda: settled(up, host, address))
        up.until(lambda: len(hosts_behind(up, address)) == 3)
        up.until(lambda: len(hosts_behind(up, up.address("w1"))) == 3)  # the other hosts' tunnels lead there
        before = running(up)
    up.until(lambda: len(running(up)) == 3)
    assert before.items() & running(up).items(), "the other hosts' containers, at least, run on"
