"""Conntrack's flows: one client port that reaches a backend in several ways, flows older than a port or backend."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec
import pytest

from api.service.ports import PortConfig
from tests.overlay.hosts import CLIENT, PREFIX, TALKER, Cluster, Keeper, TestHost, sh, until
from tests.overlay.test_hosts import APP, CLIENT_NETNS, INGRESS, WEB_VIP, Task, network, service, set_ready, start

pytestmark = pytest.mark.root

BACKEND = "10.77.1.11"
PORTS = range(20000, 20200)
PUBLISHED = (PortConfig(target_port=80, published_port=8080), PortConfig("", "udp", 53, 5300))

# From each of these ports through each of these doors, all held at once: who answered, under which address.
HOLD = """
import json, socket, sys
protocol, source, first, last, *doors = sys.argv[1:]
found, held = {}, []
for door in doors:
    address, _, port = door.partition(":")
    for own in range(int(first), int(last)):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.settimeout(3)
        held.append(s)
        try:
            s.bind((source, own))
            s.connect((address, int(port)))
            s.send(b"x")
            answer = s.recv(100).decode()
        except OSError as e:
            answer = "!" + type(e).__name__
        found.setdefault(door, {}).setdefault(answer, 0)
        found[door][answer] += 1
        if answer[0] == "!" and found[door][answer] > 3:
            break
print(json.dumps(found))
"""

# Connections from each of these ports, one after the other, which the server ends.
SHORT = """
import socket, sys
first, last, address, port = sys.argv[1:]
for own in range(int(first), int(last)):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(3)
    s.bind(("0.0.0.0", own))
    s.connect((address, int(port)))
    while s.recv(100):
        pass
    s.close()
"""


def inside(netns: str, *command: str) -> str:
    return sh("nsenter", f"--net={netns}", *command)


def hold(protocol: str, *doors: str) -> dict[str, dict[str, int]]:
    ports = (str(PORTS[0]), str(PORTS[-1] + 1))
    return dict(json.loads(inside(CLIENT_NETNS, sys.executable, "-c", HOLD, protocol, CLIENT, *ports, *doors)))


def short(netns: str, address: str) -> None:
    inside(netns, sys.executable, "-c", SHORT, str(PORTS[0]), str(PORTS[-1] + 1), address, "81")


@dataclass
class Place:
    """One backend on the third host, and a container beside it and one on another host."""

    cluster: Cluster
    backend: Task
    callers: list[Task]

    @property
    def host(self) -> TestHost:
        return self.backend.host


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Place:
    cluster.networks = {APP: network(APP, 1, 4301), INGRESS: network(INGRESS, 4, 4304, ingress=True)}
    for order in (service("web", APP, WEB_VIP), service("web", INGRESS, "10.77.4.130", (), PUBLISHED)):
        cluster.services[order.id] = order
    cluster.tell()
    h1, _, h3 = cluster.hosts
    backend = start(cluster, "web.1", h3, {APP: BACKEND, INGRESS: "10.77.4.11"})
    h3.serve(backend.netns, "web", 80, script=TALKER)
    h3.serve(backend.netns, "web", 81)
    h3.serve(backend.netns, "dns", 53, "udp")
    callers = [start(cluster, "near.1", h3, {APP: "10.77.1.31"}), start(cluster, "far.1", h1, {APP: "10.77.1.32"})]
    cluster.tell()
    return Place(cluster, backend, callers)


def test_a_clients_port_is_held_through_every_door_at_once(place: Place) -> None:
    doors = [f"{host.address}:8080" for host in place.cluster.hosts]

    assert hold("tcp", *doors) == {door: {"web": len(PORTS)} for door in doors}


def test_a_clients_udp_port_is_answered_through_every_door_under_its_address(place: Place) -> None:
    doors = [f"{host.address}:5300" for host in place.cluster.hosts]

    assert hold("udp", *doors) == {door: {f"dns {CLIENT}": len(PORTS)} for door in doors}


@pytest.mark.parametrize("where", ["near", "far"])
def test_a_closed_connections_ports_serve_the_other_way_at_once(place: Place, where: str) -> None:
    caller = next(task for task in place.callers if task.name.startswith(where))
    # each way after the other: whichever has the later clock, one of them comes second
    ways = (WEB_VIP, BACKEND, WEB_VIP)
    inside(caller.netns, "nstat", "-r")

    for way in ways:
        short(caller.netns, way)
        # as if a while had passed: the hosts have forgotten, the server's TIME_WAIT is there for a minute
        for host in place.cluster.hosts:
            host.inside("conntrack", "-D", "-p", "tcp", check=False)

    assert "TcpExtTCPSynRetrans             0 " in inside(caller.netns, "nstat", "-z", "TcpExtTCPSynRetrans")


def test_closed_connections_are_forgotten_in_seconds_or_as_long_as_servers_remember(place: Place) -> None:
    near, _ = place.callers
    for way in (WEB_VIP, BACKEND):
        short(near.netns, way)
    assert hold("tcp", f"{place.cluster.hosts[0].address}:8080")

    until(lambda: {near.addresses[APP], CLIENT} <= closed(place.host).keys())
    left = closed(place.host)

    assert max(left[near.addresses[APP]]) <= 5
    assert 5 < max(left[CLIENT]) <= 60


def closed(host: TestHost) -> dict[str, list[int]]:
    """By client: how many seconds its closed connections are still remembered."""
    found: dict[str, list[int]] = {}
    for line in host.inside("conntrack", "-L", "-p", "tcp", "--state", "TIME_WAIT").splitlines():
        found.setdefault(line.split("src=")[1].split()[0], []).append(int(line.split()[2]))
    return found


# ── answers under way when a container ends ──────────────────────────────────────────────────────────────────────────

# Takes one connection; told to, it answers and ends.
LAST = """
import socket, sys
s = socket.create_server(("0.0.0.0", int(sys.argv[2])))
print("up", flush=True)
c, _ = s.accept()
c.recv(10)
print("asked", flush=True)
sys.stdin.readline()
c.sendall(b"the last answer")
c.close()
"""
DROP = "table ip lossy { chain in { type filter hook input priority 0; tcp sport 8082 drop; }; }"


def test_an_answer_that_is_lost_once_comes_although_its_container_has_ended(place: Place) -> None:
    h1 = place.cluster.hosts[0]
    task = start(place.cluster, "last.1", h1, {}, host_ports=(PortConfig("", "tcp", 80, 8082, "host"),))
    place.cluster.tell()
    command = ["nsenter", f"--net={task.netns}", sys.executable, "-c", LAST, "last", "80"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        assert server.stdout.readline() == "up\n"
        client = subprocess.Popen(
            ["nsenter", f"--net={CLIENT_NETNS}", sys.executable, "-c", ASK, h1.address, "8082"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout.readline() == "asked\n"
        inside(CLIENT_NETNS, "nft", f"add {DROP}")
        server.communicate("go\n")
    mended = threading.Timer(0.4, lambda: inside(CLIENT_NETNS, "nft", "delete table ip lossy"))
    mended.start()
    h1.do("close", id=task.id)
    mended.join()

    assert client.communicate(timeout=10)[0] == "the last answer\n"


ASK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.send(b"x")
try:
    print(s.recv(100).decode())
except OSError as e:
    print("!" + type(e).__name__)
"""

# ── datagrams of a client that keeps its port ────────────────────────────────────────────────────────────────────────


def publish(place: Place, *ports: PortConfig) -> None:
    """The service's ports in the mesh are these and no other."""
    order = place.cluster.services[f"web.{INGRESS}"]
    place.cluster.services[order.id] = msgspec.structs.replace(order, ports=list(ports))
    place.cluster.tell()


@contextmanager
def clients(place: Place, port: int) -> Iterator[list[Keeper]]:
    """Who sends to a port of each host: from outside, from a host itself, from a container."""
    h1, _, h3 = place.cluster.hosts
    near, _ = place.callers
    ways = [(CLIENT_NETNS, h.address) for h in place.cluster.hosts]
    ways += [(f"/run/netns/{h1.netns}", h1.address), (f"/run/netns/{h3.netns}", "127.0.0.1"), (near.netns, h1.address)]
    with ExitStack() as stack:
        yield [stack.enter_context(Keeper(netns, address, port, "udp")) for netns, address in ways]


def answers(keepers: list[Keeper]) -> set[str]:
    return {keeper.ask().split()[0] for keeper in keepers}


def test_a_port_answers_flows_that_are_older_and_again_when_it_is_published_anew(place: Place) -> None:
    port, other = PortConfig("", "udp", 53, 5301), PortConfig("", "udp", 54, 5301)
    place.host.serve(place.backend.netns, "dns54", 54, "udp")
    try:
        with clients(place, 5301) as keepers:
            for ports, expected in (
                ((), "!ConnectionRefusedError"),
                ((port,), "dns"),
                ((), "!ConnectionRefusedError"),
                ((port,), "dns"),
                # leads elsewhere from now on
                ((other,), "dns54"),
            ):
                publish(place, *ports)
                assert answers(keepers) == {expected}
    finally:
        publish(place, *PUBLISHED)


def test_the_first_ready_endpoint_answers_flows_that_are_older(place: Place) -> None:
    near, far = place.callers
    set_ready(place.cluster, place.backend, False)
    with clients(place, 5300) as keepers, vip_client(near) as one, vip_client(far) as two:
        for ready, expected in ((False, "!ConnectionRefusedError"), (True, "dns"), (False, "!ConnectionRefusedError")):
            set_ready(place.cluster, place.backend, ready)
            assert answers([*keepers, one, two]) == {expected}
    set_ready(place.cluster, place.backend, True)


def vip_client(task: Task) -> Keeper:
    return Keeper(task.netns, WEB_VIP, 53, "udp")


def test_a_hosts_own_port_answers_flows_that_are_older(place: Place) -> None:
    h1 = place.cluster.hosts[0]
    port = PortConfig("", "udp", 53, 5302, "host")
    with (
        Keeper(CLIENT_NETNS, h1.address, 5302, "udp") as outside,
        Keeper(h1_netns(h1), "127.0.0.1", 5302, "udp") as own,
    ):
        for round in range(2):
            assert answers([outside, own]) == {"!ConnectionRefusedError"}
            task = start(place.cluster, f"alone.{round}", h1, {}, host_ports=(port,))
            h1.serve(task.netns, f"alone{round}", 53, "udp")
            assert answers([outside, own]) == {f"alone{round}"}
            h1.do("close", id=task.id)
            h1.update(place.cluster.view(h1))


def h1_netns(host: TestHost) -> str:
    return f"/run/netns/{host.netns}"


def test_flows_of_others_are_left_alone_when_a_port_comes(place: Place) -> None:
    near, _ = place.callers
    place.host.serve(CLIENT_NETNS, "outside", 5303, "udp")
    try:
        with Keeper(near.netns, CLIENT, 5303, "udp") as through, Keeper(near.netns, BACKEND, 53, "udp") as direct:
            assert answers([through, direct]) == {"outside", "dns"}
            before = flow_ids(place.host)
            publish(place, PortConfig("", "udp", 53, 5303), PortConfig("", "udp", 53, 53))
            assert before
            assert before <= flow_ids(place.host)
    finally:
        publish(place, *PUBLISHED)


def flow_ids(host: TestHost) -> set[str]:
    """Of a container's datagrams."""
    listing = host.inside("conntrack", "-L", "-p", "udp", "-s", "10.77.1.31", "-o", "id")
    return {line.rpartition("id=")[2] for line in listing.splitlines()}


# ── a backend's host loses its power ─────────────────────────────────────────────────────────────────────────────────


def test_clients_of_a_host_without_power_go_elsewhere(place: Place) -> None:
    """A SYN that it does not answer meets another backend when it is repeated; what was held there is reset."""
    h1, h2, _ = place.cluster.hosts
    _, far = place.callers
    rest = Cluster([h1, h2], place.cluster.networks, place.cluster.services, place.cluster.endpoints)
    other = start(rest, "web.2", h2, {APP: "10.77.1.12", INGRESS: "10.77.4.12"}, ready=False)
    h2.serve(other.netns, "other", 80, script=TALKER)
    ways = [(far.netns, WEB_VIP, 80), (CLIENT_NETNS, h1.address, 8080), (CLIENT_NETNS, h2.address, 8080)]
    with ExitStack() as stack:
        held = [stack.enter_context(Keeper(*way)) for way in ways]
        assert answers(held) == {"web"}
        sh("ip", "-n", f"{PREFIX}-sw", "link", "set", "h3", "down")
        stack.callback(sh, "ip", "-n", f"{PREFIX}-sw", "link", "set", "h3", "up")
        begun = [stack.enter_context(Keeper(*way)) for way in ways]
        until(lambda: sum(len(unanswered(host)) for host in (h1, h2)) >= len(ways))
        set_ready(rest, other, True)
        set_ready(rest, place.backend, False)
        assert answers(begun) == {"other"}
        until(lambda: not unanswered(h1) and not unanswered(h2))

        for id, endpoint in list(rest.endpoints.items()):
            if endpoint.task_id == place.backend.name:
                rest.endpoints[id] = msgspec.structs.replace(endpoint, lost=True)
        rest.tell()
        assert answers(held) == {"!ConnectionResetError"}
        assert answers(begun) == {"other"}


def unanswered(host: TestHost) -> list[str]:
    return [line for line in host.inside("conntrack", "-L", "-p", "tcp").splitlines() if "UNREPLIED" in line]
