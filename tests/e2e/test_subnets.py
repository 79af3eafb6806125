"""What hosts use of the address space themselves, and the routing mesh's network made anew; in a real lab."""

from __future__ import annotations

import pytest

from tests.e2e.world import IMAGE, World

PORT = 8140


def create(world: World, *arguments: str) -> str:
    """What a refused `network create` says; "" when it was taken (and is taken back)."""
    try:
        world.argosy("network", "create", *arguments, "over", code=1)
    except AssertionError as error:
        if "exit code 0" not in str(error):
            raise
        world.argosy("network", "rm", "over")
        return ""
    return world.argosy("network", "create", *arguments, "over", code=1)


def test_a_host_s_new_route_is_heard_of_and_no_network_overlaps_it(world: World) -> None:
    host = world.hosts[-1]
    world.argosy("network", "create", "--subnet", "10.188.7.0/24", "before")
    world.inside(host, "ip route add 10.188.0.0/16 dev eth0")
    try:
        said = world.until(lambda: create(world, "--subnet", "10.188.3.0/24"))
        assert f"10.188.3.0/24 overlaps 10.188.0.0/16 of host {host}" in said
        assert "its 10.188.0.0/16 overlaps 10.188.7.0/24 of network before" in world.argosy("node", "ls")
        assert world.api("/networks/before")["Warnings"][0].startswith(f"10.188.0.0/16 of host {host} overlaps")
    finally:
        world.inside(host, "ip route del 10.188.0.0/16 dev eth0")
        world.argosy("network", "rm", "before")
    world.until(lambda: "overlaps" not in world.argosy("node", "ls"))


def test_the_mesh_works_on_a_network_made_anew(world: World) -> None:
    published = [service["Spec"]["Name"] for service in world.api("/services") if service["Spec"].get("EndpointSpec")]
    if any(published):
        pytest.skip(f"services of other tests are there: {', '.join(published)}")
    world.argosy("network", "rm", "ingress")
    world.argosy("service", "create", "--name", "meshed", "-p", f"{PORT}:8000", IMAGE, "python3", "peer.py", code=1)
    world.argosy("network", "create", "--ingress", "--subnet", "172.22.0.0/24", "mesh")
    try:
        world.argosy("service", "create", "--name", "meshed", "-p", f"{PORT}:8000", IMAGE, "python3", "peer.py")
        for host in world.hosts:
            assert world.until(lambda host=host: world.ask(host, PORT))["host"]
            assert "172.22.0." in world.inside(host, "ip -4 -o address")
        assert "meshed depends on it" in world.argosy("network", "rm", "mesh", code=1)
    finally:
        world.argosy("service", "rm", "meshed")
        world.argosy("network", "rm", "mesh")
        world.argosy("network", "create", "--ingress", "ingress")
    world.until(lambda: world.api("/networks/ingress")["IPAM"]["Config"][0]["Subnet"] == "10.255.0.0/16")
    world.until(lambda: all("10.255." in world.inside(host, "ip -4 -o address") for host in world.hosts))
