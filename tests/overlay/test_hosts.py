"""Three hosts on a real kernel: names, VIPs, the mesh, isolation, restarts, complete removal."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment, NetworkAssignment, ServiceAssignment
from overlay.interface import Interface, NetworkView, Sandbox
from overlay.plan import link_names, sysctls
from tests.overlay.hosts import CLIENT, PREFIX, TALKER, Cluster, Keeper, TestHost, call, resolve, sh, until

pytestmark = pytest.mark.root

CLIENT_NETNS = f"/run/netns/{PREFIX}-client"
APP, OTHER, SECRET, INGRESS = "app", "other", "secret", "ingress"
WEB_VIP, ECHO_VIP, LONE_VIP, OTHER_VIP = "10.77.1.130", "10.77.1.131", "10.77.1.132", "10.77.2.130"


@dataclass
class Task:
    """A task of the test cluster, and the path of its sandbox."""

    name: str
    host: TestHost
    addresses: dict[str, str]
    netns: str = ""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def enter(self) -> list[str]:
        """The command line before a command that is to run in its sandbox."""
        return ["nsenter", f"--net={self.netns}"]


def network(id: str, number: int, vni: int, **more: bool) -> NetworkAssignment:
    base = f"10.77.{number}"
    return NetworkAssignment(id, id, vni, f"{base}.0/24", f"{base}.128/25", "", **more)


def service(
    name: str, on: str, vip: str, aliases: tuple[str, ...] = (), ports: tuple[PortConfig, ...] = ()
) -> ServiceAssignment:
    return ServiceAssignment(f"{name}.{on}", on, name, name, vip, list(aliases), list(ports))


def start(
    cluster: Cluster, name: str, on: TestHost, addresses: dict[str, str], ready: bool = True, **more: object
) -> Task:
    task = Task(name, on, addresses)
    interfaces = tuple(Interface(id, f"{address}/24") for id, address in addresses.items())
    service_id = name.split(".")[0]
    task.netns = on.open(Sandbox(task.id, name, name, service_id, name.replace(".", "-"), interfaces, **more))  # type: ignore[arg-type]
    for id, address in addresses.items():
        endpoint = EndpointAssignment(
            f"{name}.{id}", id, service_id, name, name, on.name, on.address, address, name.replace(".", "-"), ready
        )
        cluster.endpoints[endpoint.id] = endpoint
    return task


def set_ready(cluster: Cluster, task: Task, ready: bool) -> None:
    for id, endpoint in list(cluster.endpoints.items()):
        if endpoint.task_id == task.name:
            cluster.endpoints[id] = msgspec.structs.replace(endpoint, ready=ready)
    cluster.tell()


Tasks = dict[str, Task]


@pytest.fixture(scope="module")
def tasks(cluster: Cluster) -> Tasks:
    """`web` on every host, behind a VIP and the mesh; `echo` (UDP) on two; a client; two more networks."""
    h1, h2, h3 = cluster.hosts
    cluster.networks = {
        APP: network(APP, 1, 4201),
        OTHER: network(OTHER, 2, 4202),
        SECRET: network(SECRET, 3, 4203, internal=True),
        INGRESS: network(INGRESS, 4, 4204, ingress=True),
    }
    ports = (
        PortConfig(target_port=80, published_port=8080),
        PortConfig(protocol="udp", target_port=53, published_port=5300),
    )
    for order in (
        service("shop_web", APP, WEB_VIP, ("web",)),
        service("echo", APP, ECHO_VIP),
        service("lone", APP, LONE_VIP),
        service("dnsrr", APP, ""),
        service("shop_web", INGRESS, "10.77.4.130", (), ports),
        service("foreign", OTHER, OTHER_VIP),
    ):
        cluster.services[order.id] = order
    cluster.tell()
    made = []
    for number, host in enumerate(cluster.hosts):
        made.append(
            start(
                cluster, f"shop_web.{number}", host, {APP: f"10.77.1.{11 + number}", INGRESS: f"10.77.4.{11 + number}"}
            )
        )
        host.serve(made[-1].netns, f"web{number}", 80)
        host.serve(made[-1].netns, f"dns{number}", 53, "udp")
    for number, host in ((1, h2), (2, h3)):
        made.append(start(cluster, f"echo.{number}", host, {APP: f"10.77.1.{21 + number}"}))
        host.serve(made[-1].netns, f"echo{number}", 7, "udp")
    made.append(start(cluster, "shop_client.1", h1, {APP: "10.77.1.31"}))
    made.append(start(cluster, "foreign.1", h1, {OTHER: "10.77.2.11"}))
    h1.serve(made[-1].netns, "foreign", 80)
    made.append(start(cluster, "dnsrr.1", h2, {APP: "10.77.1.41"}))
    made.append(start(cluster, "dnsrr.2", h3, {APP: "10.77.1.42"}))
    made.append(start(cluster, "secret.1", h1, {SECRET: "10.77.3.11"}))
    made.append(start(cluster, "secret.2", h2, {SECRET: "10.77.3.12"}))
    h2.serve(made[-1].netns, "secret2", 80)
    cluster.tell()
    return {task.name: task for task in made}


def ask(task: Task, name: str, kind: int = 1, protocol: str = "udp") -> tuple[int, list[str]]:
    return resolve(task.netns, name, kind, protocol)


def test_names_mean_vips_tasks_and_containers(tasks: Tasks) -> None:
    client = tasks["shop_client.1"]
    assert ask(client, "shop_web") == (0, [WEB_VIP])
    assert ask(client, "WEB.") == (0, [WEB_VIP])
    assert ask(client, "web", protocol="tcp") == (0, [WEB_VIP])
    assert ask(client, "web", kind=28) == (0, [])
    code, found = ask(client, "tasks.shop_web")
    assert (code, sorted(found)) == (0, ["10.77.1.11", "10.77.1.12", "10.77.1.13"])
    code, found = ask(client, "dnsrr")
    assert (code, sorted(found)) == (0, ["10.77.1.41", "10.77.1.42"])
    assert ask(client, "shop_web.1") == (0, ["10.77.1.12"])
    assert ask(client, "shop_client-1") == (0, ["10.77.1.31"])
    # of a network the caller is not on; nobody answers for the host's nameserver
    assert ask(tasks["foreign.1"], "foreign") == (0, [OTHER_VIP])
    assert ask(tasks["secret.1"], "shop_web") == (3, [])


def test_a_vip_spreads_connections_over_all_hosts_and_keeps_the_source(tasks: Tasks) -> None:
    answers = call(tasks["shop_client.1"].netns, WEB_VIP, 80, times=30)
    assert {a.split()[0] for a in answers} == {"web0", "web1", "web2"}
    assert {a.split()[1] for a in answers} == {"10.77.1.31"}
    answers = call(tasks["shop_client.1"].netns, ECHO_VIP, 7, times=10, protocol="udp")
    assert set(answers) == {"echo1 10.77.1.31", "echo2 10.77.1.31"}


def test_a_container_reaches_itself_behind_its_own_vip(tasks: Tasks) -> None:
    for name in ("shop_web.0", "shop_web.2"):
        answers = call(tasks[name].netns, WEB_VIP, 80, times=9)
        assert {a.split()[0] for a in answers} == {"web0", "web1", "web2"}


def test_containers_reach_one_another_directly_across_hosts(tasks: Tasks) -> None:
    assert call(tasks["shop_client.1"].netns, "10.77.1.12", 80) == ["web1 10.77.1.31"]
    assert call(tasks["shop_web.1"].netns, "10.77.1.13", 80) == ["web2 10.77.1.12"]
    assert call(tasks["secret.1"].netns, "10.77.3.12", 80) == ["secret2 10.77.3.11"]


def test_a_vip_without_ready_endpoints_refuses_at_once(tasks: Tasks) -> None:
    assert call(tasks["shop_client.1"].netns, LONE_VIP, 80) == ["!ConnectionRefusedError"]


def test_published_ports_answer_on_every_host_with_the_clients_address(cluster: Cluster, tasks: Tasks) -> None:
    for host in cluster.hosts:
        answers = call(CLIENT_NETNS, host.address, 8080, times=9)
        assert set(answers) == {f"web{n} {CLIENT}" for n in range(3)}, host.name
        answers = call(CLIENT_NETNS, host.address, 5300, times=9, protocol="udp")
        assert set(answers) == {f"dns{n} {CLIENT}" for n in range(3)}, host.name


def test_a_client_is_answered_through_the_door_it_uses_whichever_it_used_before(cluster: Cluster, tasks: Tasks) -> None:
    """No host tells a container to send a client's packets another way."""
    backends = [tasks[f"shop_web.{number}"] for number in range(3)]
    for task in backends:
        # they would believe it: it is the hosts' silence that counts here
        for place in ("all", "eth1"):
            sh("nsenter", f"--net={task.netns}", "sysctl", "-qw", f"net.ipv4.conf.{place}.accept_redirects=1")
    for host in cluster.hosts:
        # as on hosts that nobody touched
        host.inside("sysctl", "-qw", "net.ipv4.conf.all.send_redirects=1")
    for host in (*cluster.hosts, *cluster.hosts):
        for port, protocol, name in ((8080, "tcp", "web"), (5300, "udp", "dns")):
            answers = call(CLIENT_NETNS, host.address, port, times=9, protocol=protocol)
            assert set(answers) == {f"{name}{n} {CLIENT}" for n in range(3)}, host.name
    for task in backends:
        assert "redirected" not in sh("nsenter", f"--net={task.netns}", "ip", "route", "get", CLIENT), task.name
        for place in ("all", "eth1"):
            sh("nsenter", f"--net={task.netns}", "sysctl", "-qw", f"net.ipv4.conf.{place}.accept_redirects=0")


def settings(netns: str, device: str, wanted: Iterable[str]) -> dict[str, int]:
    """What /proc says of a device."""
    found = sh("nsenter", f"--net={netns}", "sysctl", *(f"net.ipv4.conf.{device}.{name}" for name in wanted))
    return {line.split(" = ")[0].rsplit(".", 1)[1]: int(line.split(" = ")[1]) for line in found.splitlines()}


def test_what_the_kernel_goes_by_is_what_networks_need(cluster: Cluster, tasks: Tasks) -> None:
    """Every setting of a device, joined with that of `all` as the kernel does it."""
    places = [(f"/run/netns/{host.netns}", link_names.bridge(4204), sysctls.BRIDGE) for host in cluster.hosts]
    places += [(tasks["shop_web.0"].netns, device, sysctls.SANDBOX) for device in ("eth0", "eth1")]
    for netns, device, wanted in places:
        everywhere, own = settings(netns, "all", wanted), settings(netns, device, wanted)
        forwards = bool(settings(netns, device, ["forwarding"])["forwarding"])
        found = {name: sysctls.effective(name, everywhere[name], own[name], forwards) for name in wanted}
        # redirects are kept back by nftables where the host's own `all` sends them
        expected = {**wanted, "send_redirects": everywhere["send_redirects"]}
        assert found == expected, (netns, device)


def test_a_setting_of_the_host_s_that_bridges_cannot_do_with_is_told(cluster: Cluster, tasks: Tasks) -> None:
    h3 = cluster.hosts[2]
    h3.kill()
    h3.inside("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    h3.start()
    assert h3.do("troubles") == ["host settings: net.ipv4.conf.all.arp_ignore makes arp_ignore 1 where 0 is needed"]
    h3.inside("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")
    h3.update(cluster.view(h3))


def test_published_ports_answer_hosts_and_containers_too(cluster: Cluster, tasks: Tasks) -> None:
    everyone = {"web0", "web1", "web2"}
    for host in cluster.hosts:
        for address in ("127.0.0.1", *(h.address for h in cluster.hosts)):
            assert {a.split()[0] for a in host.call(address, 8080, times=6)} == everyone, (host.name, address)
    for name in ("foreign.1", "shop_client.1", "shop_web.0", "shop_web.1"):
        for host in cluster.hosts:
            answers = call(tasks[name].netns, host.address, 8080, times=6)
            assert {a.split()[0] for a in answers} == everyone, (name, host.name)


def test_networks_are_kept_apart(cluster: Cluster, tasks: Tasks) -> None:
    stranger = tasks["foreign.1"].netns
    inside = ("10.77.1.11", "10.77.1.12", WEB_VIP, "10.77.1.1")
    for address in inside:
        assert call(stranger, address, 80, timeout=0.5)[0].startswith("!"), address
    # a route by hand does not help an internal network's container
    secret = tasks["secret.1"].netns
    sh("nsenter", f"--net={secret}", "ip", "route", "add", "default", "via", "10.77.3.1")
    for address in (CLIENT, cluster.hosts[0].address, cluster.hosts[1].address, "10.77.1.11"):
        assert call(secret, address, 8080, timeout=0.5)[0].startswith("!"), address
    # nor does a route from outside
    sh("nsenter", f"--net={CLIENT_NETNS}", "ip", "route", "add", "10.77.0.0/16", "via", cluster.hosts[0].address)
    for address in inside:
        assert call(CLIENT_NETNS, address, 80, timeout=0.5)[0].startswith("!"), address
    sh("nsenter", f"--net={CLIENT_NETNS}", "ip", "route", "del", "10.77.0.0/16")


def test_containers_reach_the_outside_as_their_host(cluster: Cluster, tasks: Tasks) -> None:
    cluster.hosts[0].serve(CLIENT_NETNS, "outside", 9000)
    assert call(tasks["shop_client.1"].netns, CLIENT, 9000) == [f"outside {cluster.hosts[0].address}"]
    assert call(tasks["shop_web.1"].netns, CLIENT, 9000) == [f"outside {cluster.hosts[1].address}"]


def test_an_unready_endpoint_leaves_vip_names_and_mesh(cluster: Cluster, tasks: Tasks) -> None:
    client = tasks["shop_client.1"]
    set_ready(cluster, tasks["shop_web.1"], False)
    assert {a.split()[0] for a in call(client.netns, WEB_VIP, 80, times=8)} == {"web0", "web2"}
    assert {a.split()[0] for a in call(CLIENT_NETNS, cluster.hosts[2].address, 8080, times=8)} == {"web0", "web2"}
    assert "10.77.1.12" not in ask(client, "tasks.shop_web")[1]
    set_ready(cluster, tasks["shop_web.1"], True)
    assert {a.split()[0] for a in call(client.netns, WEB_VIP, 80, times=9)} == {"web0", "web1", "web2"}
    assert "10.77.1.12" in ask(client, "tasks.shop_web")[1]


def test_a_kept_udp_socket_leaves_a_backend_that_is_no_longer_ready(cluster: Cluster, tasks: Tasks) -> None:
    for netns, address, port in (
        (tasks["shop_client.1"].netns, ECHO_VIP, 7),
        (CLIENT_NETNS, cluster.hosts[0].address, 5300),
    ):
        with Keeper(netns, address, port, "udp") as client:
            first = client.ask().split()[0]
            assert client.ask().split()[0] == first
            backend = tasks[f"shop_web.{first[-1]}" if first.startswith("dns") else f"echo.{first[-1]}"]
            set_ready(cluster, backend, False)
            # flushed in the background; every packet until then reaches the old one, which still runs
            until(lambda client=client, first=first: client.ask().split()[0] not in (first, ""))
            set_ready(cluster, backend, True)


def test_a_kept_tcp_connection_survives_its_backend_s_draining_and_is_reset_when_that_is_gone(
    cluster: Cluster, tasks: Tasks
) -> None:
    h2 = cluster.hosts[1]
    order = service("talker", APP, "10.77.1.150")
    cluster.services[order.id] = order
    stays = start(cluster, "talker.1", h2, {APP: "10.77.1.71"})
    h2.serve(stays.netns, "stays", 80, script=TALKER)
    for name in ("shop_client.1", "shop_web.1"):  # from another host, and from the backend's own
        goes = start(cluster, "talker.2", h2, {APP: "10.77.1.72"}, ready=False)
        program = h2.serve(goes.netns, "goes", 80, script=TALKER)
        set_ready(cluster, stays, False)
        set_ready(cluster, goes, True)
        with Keeper(tasks[name].netns, "10.77.1.150", 80) as client:
            assert client.ask() == "goes"
            set_ready(cluster, stays, True)
            set_ready(cluster, goes, False)
            assert client.ask() == "goes"
            # it dies without a word
            sh("nsenter", f"--net={goes.netns}", "ip", "link", "set", "eth0", "down")
            program.kill()
            program.wait()
            h2.do("close", id=goes.id)
            del cluster.endpoints[f"talker.2.{APP}"]
            cluster.tell()
            began = time.monotonic()
            assert client.ask() == "!ConnectionResetError"
            assert time.monotonic() - began < 3
    h2.do("close", id=stays.id)
    del cluster.endpoints[f"talker.1.{APP}"], cluster.services[order.id]
    cluster.tell()


def test_a_container_on_no_network_gets_out_and_its_host_ports_lead_in(cluster: Cluster, tasks: Tasks) -> None:
    h1 = cluster.hosts[0]
    ports = (PortConfig(target_port=80, published_port=8081, publish_mode="host"),)
    alone = start(cluster, "alone.1", h1, {}, host_ports=ports)
    h1.serve(alone.netns, "alone", 80)
    assert list(h1.do("addresses", id=alone.id)) == ["bridge"]  # type: ignore[call-overload]
    assert call(CLIENT_NETNS, h1.address, 8081) == [f"alone {CLIENT}"]
    assert h1.call("127.0.0.1", 8081)[0].startswith("alone ")
    assert call(tasks["shop_client.1"].netns, h1.address, 8081)[0].startswith("alone ")
    assert call(alone.netns, h1.address, 8081)[0].startswith("alone ")
    assert call(CLIENT_NETNS, cluster.hosts[1].address, 8081) == ["!ConnectionRefusedError"]
    with pytest.raises(RuntimeError, match="Port 8081/tcp of this host is already in use"):
        start(cluster, "alone.2", h1, {}, host_ports=ports)
    h1.do("close", id=alone.id)
    until(lambda: call(CLIENT_NETNS, h1.address, 8081) == ["!ConnectionRefusedError"])


def test_a_port_at_one_address_answers_there_and_nowhere_else(cluster: Cluster, tasks: Tasks) -> None:
    h1, h2, _ = cluster.hosts
    ports = (
        PortConfig(target_port=80, published_port=8090, host_ip="127.0.0.1"),
        PortConfig(target_port=80, published_port=8091, host_ip=h1.address),
    )
    before = cluster.services[f"shop_web.{INGRESS}"]
    cluster.services[f"shop_web.{INGRESS}"] = msgspec.structs.replace(before, ports=[*before.ports, *ports])
    cluster.tell()

    assert h1.call("127.0.0.1", 8090)[0].startswith("web")
    assert h2.call("127.0.0.1", 8090)[0].startswith("web")
    assert h2.call(h1.address, 8091)[0].startswith("web")
    for caller, address, port in (
        (h2, h1.address, 8090), (h1, h1.address, 8090), (h2, h2.address, 8091), (h1, "127.0.0.1", 8091),
    ):  # fmt: skip
        assert not caller.call(address, port, timeout=2)[0].startswith("web")
    cluster.services[f"shop_web.{INGRESS}"] = before
    cluster.tell()


def test_a_host_port_at_one_address_and_an_interface_with_a_mac_of_its_own(cluster: Cluster, tasks: Tasks) -> None:
    h1, h2, _ = cluster.hosts
    ids = [hashlib.sha256(name.encode()).hexdigest() for name in ("bound", "alone", "mac")]
    port = PortConfig("", "tcp", 80, 8092, "host", "127.0.0.1")
    netns = h1.open(Sandbox(ids[0], "bound", "bound", "bound", "bound", (), (port,)))
    h1.serve(netns, "bound", 80)
    assert h1.call("127.0.0.1", 8092)[0].startswith("bound")
    assert not h2.call(h1.address, 8092, timeout=2)[0].startswith("bound")
    with pytest.raises(RuntimeError, match=r"no address 203\.0\.113\.9 here"):
        h1.open(Sandbox(ids[2], "x", "x", "x", "x", (), (PortConfig("", "tcp", 80, 8093, "host", "203.0.113.9"),)))

    alone = h1.open(Sandbox(ids[1], "alone", "alone", "alone", "alone", (), isolated=True))
    assert sh("nsenter", f"--net={alone}", "ip", "-o", "link").count("\n") == 1

    mac = "02:42:ac:11:00:02"
    own = h1.open(Sandbox(ids[2], "mac", "mac", "mac", "mac", (Interface(APP, "10.77.1.61/24", (), mac),)))
    assert mac in sh("nsenter", f"--net={own}", "ip", "-o", "link")
    order = EndpointAssignment("mac.app", APP, "mac", "mac", "mac", h1.name, h1.address, "10.77.1.61", "", True, mac)
    cluster.endpoints[order.id] = order
    cluster.tell()
    h1.serve(own, "mac", 80)
    assert call(tasks["shop_web.1"].netns, "10.77.1.61", 80)[0].startswith("mac")
    del cluster.endpoints[order.id]
    cluster.tell()
    for id in ids:
        h1.do("close", id=id)


def test_a_killed_agent_is_replaced_without_a_connection_noticing(cluster: Cluster, tasks: Tasks) -> None:
    h1, client = cluster.hosts[0], tasks["shop_client.1"]
    h1.kill()
    assert {a.split()[0] for a in call(client.netns, WEB_VIP, 80, times=6)} == {"web0", "web1", "web2"}
    h1.start()
    assert {a.split()[0] for a in call(client.netns, WEB_VIP, 80, times=6)} == {"web0", "web1", "web2"}
    h1.update(cluster.view(h1))
    assert ask(client, "web") == (0, [WEB_VIP])
    assert {a.split()[0] for a in call(client.netns, WEB_VIP, 80, times=6)} == {"web0", "web1", "web2"}


def test_a_network_no_longer_wanted_leaves_nothing(cluster: Cluster, tasks: Tasks) -> None:
    h3 = cluster.hosts[2]
    view = cluster.view(h3)
    h3.update(NetworkView())
    for command in (("ip", "-o", "link"), ("ip", "rule"), ("ip", "route", "show", "table", "all"), ("bridge", "fdb")):
        text = h3.inside(*command)
        assert not any(f"{kind}{vni}" in text for kind in ("ab", "av") for vni in range(4201, 4205)), text
    # (what its containers may send is the containers' own)
    assert "10.77." not in h3.inside("nft", "list", "table", "ip", "argosy")
    # and when it is wanted again, its containers are plugged in again
    h3.update(view)
    assert call(tasks["shop_web.0"].netns, "10.77.1.13", 80) == ["web2 10.77.1.11"]


def test_what_somebody_broke_is_mended(cluster: Cluster, tasks: Tasks) -> None:
    h2 = cluster.hosts[1]
    bridge, vxlan = link_names.bridge(4201), link_names.vxlan(4201)
    h2.inside("ip", "link", "del", vxlan)
    h2.inside("nft", "delete", "table", "ip", "argosy")
    h2.kill()
    h2.start()
    h2.update(cluster.view(h2))
    assert vxlan in h2.inside("ip", "-o", "link", "show", "master", bridge)
    assert {a.split()[0] for a in call(tasks["shop_web.1"].netns, WEB_VIP, 80, times=6)} == {"web0", "web1", "web2"}


def test_a_bridge_with_a_new_address_keeps_its_neighbours_and_routes(cluster: Cluster, tasks: Tasks) -> None:
    h2 = cluster.hosts[1]
    view = cluster.view(h2)
    moved = msgspec.structs.replace(view.networks[APP], gateway="10.77.1.99/24")
    h2.update(replace(view, networks={**view.networks, APP: moved}))

    assert "10.77.1.99" in h2.inside("ip", "-4", "address", "show", "dev", link_names.bridge(4201))
    permanent = h2.inside("ip", "neigh", "show", "dev", link_names.bridge(4201), "nud", "permanent")
    assert "10.77.1.11 " in permanent
    assert "10.77.1.13 " in permanent
    assert "local 10.77.1.128/25" in h2.inside("ip", "route", "show", "table", "local")
    h2.update(view)


def test_the_host_s_own_network_is_not_where_the_host_itself_is(cluster: Cluster, tasks: Tasks) -> None:
    h3 = cluster.hosts[2]
    assert h3.do("prefixes") == ["172.30.77.0/24"]
    h3.kill()
    h3.inside("ip", "route", "add", "172.31.0.0/16", "via", CLIENT)
    h3.start()
    h3.update(cluster.view(h3))
    alone = start(cluster, "alone.3", h3, {})
    assert h3.do("addresses", id=alone.id)["bridge"].startswith("172.30.24")  # type: ignore[call-overload, index]
    cluster.hosts[0].serve(CLIENT_NETNS, "far", 9001)
    assert call(alone.netns, CLIENT, 9001) == [f"far {h3.address}"]
    # the cluster is told, and it stays so for the containers that are there
    assert h3.do("prefixes") == ["172.30.77.0/24", "172.30.240.0/20", "172.31.0.0/16"]
    h3.inside("ip", "route", "del", "172.31.0.0/16")
    h3.kill()
    h3.start()
    assert h3.do("addresses", id=alone.id)["bridge"].startswith("172.30.24")  # type: ignore[call-overload, index]
    assert h3.do("prefixes") == ["172.30.77.0/24", "172.30.240.0/20"]
    h3.update(cluster.view(h3))
    h3.do("close", id=alone.id)


def test_in_the_end_everything_is_removed(cluster: Cluster, tasks: Tasks) -> None:
    for number, host in enumerate(cluster.hosts):
        if number == 1:
            host.do("stop")
        host.do("remove_all")
        assert not list((host.root / "netns").glob("*"))
        until(lambda host=host: "argosy" not in host.inside("nft", "list", "ruleset"))
        links = [line.split(": ")[1].split("@")[0] for line in host.inside("ip", "-o", "link").splitlines()]
        assert [link for link in links if link[:2] in ("ab", "av")] == []
        assert str(link_names.TABLE_TAG)[:4] not in host.inside("ip", "rule")
