"""Real packets between real containers: names, VIPs, the mesh, isolation."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World

A, B, C = 8101, 8102, 8103
STACKS = Path(__file__).parent / "stacks"


@pytest.fixture(scope="module")
def net(world: World) -> Iterator[World]:
    world.argosy("stack", "deploy", "-c", str(STACKS / "net.yml"), "net")
    for host in world.hosts:
        for port in (A, B, C):
            world.until(lambda host=host, port=port: world.ask(host, port))
    # a peer without a health check counts as running before it listens
    world.until(lambda: len(hosts_seen(lambda: world.ask("m1", A), 12)) == 3)
    world.until(lambda: len(hosts_seen(lambda: world.ask("m1", B), 12)) == 2)
    yield world
    world.argosy("stack", "rm", "net")


def hosts_seen(ask: Any, times: int) -> set[str]:
    """Names of the containers that answered."""
    return {ask()["host"] for _ in range(times)}


def test_a_published_port_answers_on_every_host_and_spreads_over_replicas(net: World) -> None:
    for host in net.hosts:
        assert len(hosts_seen(lambda host=host: net.ask(host, A), 12)) == 3


def test_the_mesh_keeps_the_clients_address(net: World) -> None:
    machine = net.lab.record.machine_address
    seen = {(host, net.ask(host, A)["client"]) for host in net.hosts for _ in range(6)}

    assert seen == {(host, machine) for host in net.hosts}


def test_a_service_is_reached_by_name_across_hosts_over_tcp(net: World) -> None:
    for url in ("http://b:8000/", "http://net_b:8000/", "http://bee:8000/", "http://tasks.b:8000/"):
        assert len(hosts_seen(lambda url=url: net.ask("m1", A, "/fetch", url=url), 12)) == 2, url


def test_a_service_is_reached_by_name_across_hosts_over_udp(net: World) -> None:
    assert len(hosts_seen(lambda: net.ask("m1", A, "/udp", peer="b"), 12)) == 2


def test_a_vip_keeps_the_callers_address(net: World) -> None:
    own = set(net.ask("m1", A, "/names", name="tasks.a")["addresses"])

    seen = {net.ask("m1", A, "/fetch", url="http://b:8000/")["client"] for _ in range(12)}

    assert len(own) == 3
    assert seen <= own


def test_a_name_is_one_vip_and_its_tasks_are_behind_tasks_dot_name(net: World) -> None:
    assert len(net.ask("m1", A, "/names", name="b")["addresses"]) == 1
    assert len(net.ask("m1", A, "/names", name="tasks.b")["addresses"]) == 2


def test_a_container_reaches_its_own_service_and_itself_by_the_vip(net: World) -> None:
    # Each of the three is asked through the mesh; each of them then meets all three, itself included.
    pairs = set()
    for _ in range(60):
        answer = net.ask("m1", A, "/fetch", url="http://a:8000/")
        pairs.add(answer["host"])
    assert len(pairs) == 3


def test_a_single_replica_reaches_itself_by_its_own_vip(net: World) -> None:
    net.argosy("service", "create", "--name", "lonely", "--network", "net_one", "-p", "8104:8000", "argosy-peer:1",
               "python3", "peer.py")  # fmt: skip
    try:
        me = net.until(lambda: net.ask("m1", 8104))["host"]
        assert net.ask("m1", 8104, "/fetch", url="http://lonely:8000/")["host"] == me
    finally:
        net.argosy("service", "rm", "lonely")


def test_a_host_mode_port_answers_with_its_own_hosts_container(net: World) -> None:
    answers = {host: net.ask(host, C)["host"] for host in net.hosts}

    assert len(set(answers.values())) == len(net.hosts)


def test_a_container_resolves_no_name_of_a_network_it_is_not_on(net: World) -> None:
    with pytest.raises(OSError, match="gaierror"):
        net.ask("m1", A, "/names", name="c")


def test_a_container_reaches_no_address_of_a_network_it_is_not_on(net: World) -> None:
    foreign = [net.ask("m1", C, "/names", name=name)["addresses"] for name in ("c", "tasks.c")]

    for address in {address for addresses in foreign for address in addresses}:
        for host in net.hosts:
            with pytest.raises(OSError, match=r"502|timed out"):
                net.ask(host, A, "/fetch", url=f"http://{address}:8000/", timeout="1")


def test_a_port_that_is_published_already_is_refused(net: World) -> None:
    said = net.argosy("service", "create", "--name", "thief", "-p", f"{A}:8000", "argosy-peer:1", code=1)

    assert f"port '{A}' is already in use by service 'net_a'" in said


def test_a_container_reaches_the_world_outside_by_its_hosts_address(net: World) -> None:
    # The machine is outside the cluster: its web server sees a host's address, not a container's.
    machine = net.lab.record.machine_address
    with http.server.ThreadingHTTPServer((machine, 0), Outside) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://{machine}:{server.server_port}/"
        seen = {net.ask("m1", A, "/fetch", url=url)["client"] for _ in range(6)}
        server.shutdown()

    assert seen <= {net.address(host) for host in net.hosts}


class Outside(http.server.BaseHTTPRequestHandler):
    """Tells a caller its address."""

    def do_GET(self) -> None:
        body = json.dumps({"client": self.client_address[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
