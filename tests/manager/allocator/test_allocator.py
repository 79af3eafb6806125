"""The allocator: addresses, subnets, VNIs and ports are given once and freed; refusals have a reason."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

import pytest

from api.network.network_spec import INGRESS
from api.objects.decided import NetworkDecision, Task
from api.objects.kinds import DESCRIPTION, NETWORK, SERVICE
from api.reasons.reason_text import text
from api.service.service_spec import NetworkTarget
from api.states import TaskState
from manager.allocator.subnet_layout import free_subnet, layout, vip_range
from tests import make
from tests.manager.world import World


def world(*rows: object) -> World:
    return World(make.cluster(), make.ingress(), make.node("n1"), make.node("n2"), *rows).settle()


def only(w: World, service_id: str = "s1") -> Task:
    (task,) = w.tasks(service_id)
    return task


def vips(w: World, service_id: str = "s1") -> dict[str, str]:
    return {vip.network_id: vip.address for vip in w.state.service_decisions[service_id].vips}


def gateways(w: World, node_id: str) -> list[str]:
    return sorted(gateway.network_id for gateway in w.state.node_decisions[node_id].gateways)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_networks_get_subnets_that_do_not_overlap_and_vnis_from_4097() -> None:
    w = world(*[make.network(f"net{n}") for n in range(5)])
    subnets = [ip_network(decision.subnet) for decision in w.state.network_decisions.values()]
    assert len(subnets) == 6
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
    assert sorted(decision.vni for decision in w.state.network_decisions.values()) == list(range(4097, 4103))


def test_subnets_come_from_the_cluster_s_pool_and_go_round_the_hosts_addresses() -> None:
    w = World(
        make.cluster(address_pool=["10.9.0.0/16"], subnet_length=26),
        make.node("n1", address="10.9.0.3"),
        make.network("a"),
        make.network("b"),
    ).settle()
    assert [w.state.network_decisions[id].subnet for id in "ab"] == ["10.9.0.64/26", "10.9.0.128/26"]


def test_subnets_go_round_what_hosts_say_they_use() -> None:
    w = World(
        make.cluster(address_pool=["10.9.0.0/16"], subnet_length=24),
        make.node("n1", address="192.0.2.1", prefixes=["10.9.0.0/23", "192.0.2.0/24"]),
        make.node("n2", address="192.0.2.2", prefixes=["10.9.3.128/25"]),
        make.network("a"),
        make.network("b"),
    ).settle()
    assert [w.state.network_decisions[id].subnet for id in "ab"] == ["10.9.2.0/24", "10.9.4.0/24"]


def test_a_pool_that_the_hosts_use_themselves_is_told_with_the_host_and_its_prefix() -> None:
    w = World(
        make.cluster(address_pool=["10.9.0.0/24"], subnet_length=24),
        make.node("n1", address="192.0.2.1", prefixes=["10.0.0.0/8"]),
        make.network("a"),
        make.service(networks=["a"]),
    ).settle()
    assert text(only(w).reason) == (
        "network a: no subnet is left in the cluster's address pool 10.9.0.0/24"
        " (hosts use some of it themselves: 10.0.0.0/8 of host n1)"
    )


@pytest.mark.parametrize(
    ("subnet", "user"),
    [
        ("172.20.0.0/16", "172.20.8.0/24 of host n1"),
        ("172.20.8.16/29", "172.20.8.0/24 of host n1"),
        ("172.31.0.0/16", "172.31.240.0/20, each host's own network for containers"),
        ("127.1.0.0/16", "127.0.0.0/8, the loopback addresses"),
        ("192.0.2.0/24", "192.0.2.1/32 of host n1"),
    ],
)
def test_a_user_s_subnet_that_a_host_uses_is_told_by_the_tasks(subnet: str, user: str) -> None:
    w = World(
        make.cluster(),
        make.node("n1", address="192.0.2.1", prefixes=["172.20.8.0/24"]),
        make.network("a", subnet=subnet),
        make.service(networks=["a"]),
    ).settle()
    assert text(only(w).reason) == f"network a: subnet {subnet} overlaps {user}"


@pytest.mark.parametrize(
    ("pool", "length", "prefixes", "subnet"),
    [
        ([], 24, [], "10.255.0.0/16"),
        ([], 24, ["10.255.7.0/24"], "10.0.0.0/16"),
        ([], 24, ["10.255.7.0/24", "10.0.0.0/9"], "10.128.0.0/16"),
        (["10.20.0.0/16"], 26, [], "10.20.0.0/26"),
        (["10.20.0.0/16", "10.30.0.0/16"], 24, ["10.20.0.0/16"], "10.30.0.0/24"),
    ],
)
def test_the_mesh_s_network_follows_the_cluster_s_pools(
    pool: list[str], length: int, prefixes: list[str], subnet: str
) -> None:
    node = make.node("n1", address="192.0.2.1", prefixes=prefixes)
    w = World(make.cluster(address_pool=pool, subnet_length=length), make.ingress(), node).settle()
    assert w.state.network_decisions[INGRESS].subnet == subnet


def test_a_new_cluster_s_networks_wait_for_the_first_host_s_word() -> None:
    rows = make.node("n1", prefixes=["10.255.0.0/16"])
    w = World(make.cluster(), make.ingress(), [row for row in rows if row[0] is not DESCRIPTION]).settle()
    assert INGRESS not in w.state.network_decisions
    w.put(next(row for row in rows if row[0] is DESCRIPTION))
    w.settle()
    assert w.state.network_decisions[INGRESS].subnet == "10.0.0.0/16"
    assert gateways(w, "n1") == [INGRESS]


def test_the_mesh_s_network_goes_with_all_its_bridges_and_is_made_anew() -> None:
    w = world(make.service(ports=[make.port(8080)]))
    w.put(make.network(INGRESS, name=INGRESS, ingress=True, removed=True))
    w.settle()
    assert INGRESS in w.state.networks  # a service uses it
    w.delete(SERVICE, "s1")
    w.settle()
    assert INGRESS not in w.state.networks
    assert gateways(w, "n1") == gateways(w, "n2") == []
    w.put(make.network(INGRESS, subnet="172.22.0.0/24", name="mesh", ingress=True))
    w.settle()
    assert w.state.network_decisions[INGRESS].subnet == "172.22.0.0/24"
    assert gateways(w, "n1") == gateways(w, "n2") == [INGRESS]


def test_a_user_s_subnet_and_range_are_kept_to() -> None:
    w = world(make.network(subnet="172.20.0.0/16", ip_range="172.20.5.0/24"), make.service(networks=["net1"]))
    assert w.state.network_decisions["net1"].subnet == "172.20.0.0/16"
    assert only(w).addresses[0].address == "172.20.5.0/16"
    assert vips(w)["net1"].startswith("172.20.5.")


def test_a_subnet_that_overlaps_another_is_told_by_the_tasks() -> None:
    w = world(
        make.network("a", subnet="10.1.0.0/16"),
        make.network("b", subnet="10.1.2.0/24"),
        make.service(networks=["b"]),
    )
    assert text(only(w).reason) == "network b: subnet 10.1.2.0/24 overlaps with that of network a"
    assert only(w).state is TaskState.NEW
    w.put(make.network("a", removed=True))
    w.settle()
    assert len(w.running()) == 1


def test_an_exhausted_pool_is_told() -> None:
    w = World(
        make.cluster(address_pool=["10.9.0.0/24"], subnet_length=24),
        make.node("n1"),
        make.network("a"),
        make.network("b"),
        make.service(networks=["b"]),
    ).settle()
    assert text(only(w).reason) == "network b: no subnet is left in the cluster's address pool 10.9.0.0/24"


def test_a_vni_asked_for_is_given_if_it_is_free() -> None:
    option = {"com.docker.network.driver.overlay.vxlanid_list": "5000"}
    w = world(make.network("a", options=option), make.network("b", options=option))
    assert sorted(w.state.network_decisions[id].vni for id in "ab") == [5000, 5001]


def test_a_service_of_one_has_the_address_it_asks_for_and_nobody_else_gets_it() -> None:
    fixed = NetworkTarget("net1", ipv4_address="10.9.1.3")
    w = world(
        make.network(subnet="10.9.1.0/24"),
        make.service("known", networks=[fixed]),
        make.service("others", networks=["net1"], replicas=9),
    )
    assert [a.address for a in only(w, "known").addresses] == ["10.9.1.3/24"]
    assert "10.9.1.3/24" not in {a.address for task in w.tasks("others") for a in task.addresses}
    w.put(make.service("known", 2, networks=[fixed], image="web:2"))
    w.settle()
    (running,) = w.running("known")
    assert (running.revision, running.addresses[0].address) == (2, "10.9.1.3/24")


def test_an_address_that_cannot_be_had_is_told() -> None:
    taken = NetworkTarget("net1", ipv4_address="10.9.1.250")
    w = world(make.network(subnet="10.9.1.0/24"), make.service(networks=[taken]))
    assert text(only(w).reason) == (
        "address 10.9.1.250 of network net1 is in use, or kept for the network itself or for virtual addresses"
    )


def test_a_removed_network_goes_when_nothing_is_on_it() -> None:
    w = world(make.network(), make.service(networks=["net1"]))
    w.put(make.network(removed=True))
    w.settle()
    assert "net1" in w.state.networks
    w.delete(SERVICE, "s1")
    w.settle()
    assert "net1" not in w.state.networks
    assert "net1" not in w.state.network_decisions
    assert gateways(w, "n1") == gateways(w, "n2") == [INGRESS]


def test_a_removed_network_found_by_a_new_leader_goes_too() -> None:
    w = world(make.network(), make.network("net2"), make.service(networks=["net2"]))
    w.put(make.network(removed=True), make.network("net2", removed=True))
    w.new_leader()
    w.settle()
    assert set(w.state.networks) == {INGRESS, "net2"}, "net2 is in use"
    w.delete(SERVICE, "s1")
    w.settle()
    assert set(w.state.networks) == {INGRESS}


def test_a_network_that_does_not_exist_is_told() -> None:
    w = world(make.service(networks=["nowhere"]))
    assert text(only(w).reason) == "network nowhere does not exist"
    w.put(make.network("nowhere"))
    w.settle()
    assert len(w.running()) == 1


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_task_gets_its_own_address_on_each_network() -> None:
    w = world(make.network("a"), make.network("b"), make.service(replicas=20, networks=["a", "b"]))
    for network_id in "ab":
        held = [a.address for task in w.tasks() for a in task.addresses if a.network_id == network_id]
        assert len(set(held)) == 20
        subnet = ip_network(w.state.network_decisions[network_id].subnet)
        assert all(ip_interface(address).network == subnet for address in held)


def test_host_and_none_have_no_addresses() -> None:
    w = world(make.service(networks=["host"]))
    assert only(w).addresses == []
    assert len(w.running()) == 1


def test_an_ended_task_gives_its_addresses_back_and_they_rest_for_a_while() -> None:
    w = world(make.network(), make.service(networks=["net1"], restart=make.restart(delay=0)))
    first = only(w)
    w.tell(first.id, TaskState.FAILED)
    w.settle()
    assert w.state.tasks[first.id].addresses == []
    assert w.running()[0].addresses != first.addresses


def test_a_full_network_lets_the_rest_wait_and_serves_them_later() -> None:
    w = world(make.network(subnet="10.77.0.0/29"), make.service(replicas=4, networks=["net1"]))
    waiting = [task for task in w.tasks() if task.state is TaskState.NEW]
    assert waiting
    assert {text(task.reason) for task in waiting} == {"no address is left in network net1"}
    assert all(task.addresses == [] for task in waiting)
    assert all("net1" in gateways(w, task.node_id) for task in w.running()), "bridges need addresses, too"
    w.change(replicas=2, networks=["net1"])
    w.wait(30)
    assert all(task.state is TaskState.ASSIGNED for task in w.tasks())


def test_no_virtual_address_is_left() -> None:
    net = make.network(subnet="10.77.0.0/29")
    w = world(net, make.service("a", networks=["net1"]), make.service("b", networks=["net1"], created_at=5.0))
    assert text(only(w, "b").reason) == "no virtual address is left in network net1"
    w.delete(SERVICE, "a")
    w.wait(30)
    assert len(w.running("b")) == 1


# ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_has_a_vip_on_each_network_inside_the_part_kept_for_them() -> None:
    w = world(make.network("a"), make.network("b"), make.service(networks=["a", "b"]))
    assert vips(w).keys() == {"a", "b"}
    for network_id, address in vips(w).items():
        kept = ip_network(w.state.network_decisions[network_id].vip_range)
        assert ip_interface(address).ip in kept


def test_dnsrr_has_no_vip() -> None:
    assert vips(world(make.network(), make.service(networks=["net1"], endpoint_mode="dnsrr"))) == {}


def test_a_vip_stays_over_an_update_and_a_new_network_adds_one() -> None:
    w = world(make.network("a"), make.network("b"), make.service(networks=["a"]))
    before = vips(w)["a"]
    w.change(networks=["a", "b"])
    w.wait(20)
    assert vips(w)["a"] == before
    assert vips(w).keys() == {"a", "b"}
    w.change(networks=["b"])
    w.wait(20)
    assert vips(w).keys() == {"b"}


def test_a_service_with_published_ports_is_on_ingress() -> None:
    w = world(make.service(ports=[make.port(8080)]))
    assert vips(w).keys() == {INGRESS}
    assert [address.network_id for address in only(w).addresses] == [INGRESS]


def test_a_host_mode_port_needs_no_ingress() -> None:
    w = world(make.service(ports=[make.port(8080, mode="host")]))
    assert vips(w) == {}
    assert w.state.service_decisions["s1"].ports == []


def test_ports_are_picked_from_30000_up_and_kept_over_updates() -> None:
    w = world(make.service("a", ports=[make.port(), make.port(target=81)]), make.service("b", ports=[make.port()]))
    picked = [port.published_port for port in w.state.service_decisions["a"].ports]
    assert sorted([*picked, *(p.published_port for p in w.state.service_decisions["b"].ports)]) == [30000, 30001, 30002]
    w.change("a", image="web:2", ports=[make.port(target=81), make.port()])
    w.wait(20)
    assert [port.published_port for port in w.state.service_decisions["a"].ports] == picked[::-1]


def test_ports_of_tcp_udp_and_sctp_are_picked_from_spaces_of_their_own() -> None:
    protocols = ("tcp", "udp", "sctp")
    w = world(make.service(ports=[make.port(protocol=name) for name in protocols]))
    picked = w.state.service_decisions["s1"].ports
    assert [(port.protocol, port.published_port) for port in picked] == [(name, 30000) for name in protocols]


def test_a_port_that_goes_from_the_mesh_to_host_mode_is_given_back() -> None:
    w = world(make.service(ports=[make.port(80)]), make.service("s2", ports=[make.port(80)], created_at=9.0))
    assert not w.running("s2")
    w.change(ports=[make.port(8080, mode="host")])
    w.wait(20)
    assert w.state.service_decisions["s1"].ports == []
    assert [port.published_port for port in w.state.service_decisions["s2"].ports] == [80]
    assert len(w.running("s1")) == len(w.running("s2")) == 1


def test_a_port_may_be_of_several_services_at_different_addresses_of_the_hosts() -> None:
    at = ["127.0.0.1", "10.0.0.1", "127.0.0.1", ""]
    services = [
        make.service(f"s{n}", ports=[make.port(80, host_ip=address)], created_at=float(n))
        for n, address in enumerate(at)
    ]
    w = world(*services)
    decisions = [w.state.service_decisions[f"s{n}"] for n in range(len(at))]
    assert [[port.host_ip for port in found.ports] for found in decisions] == [["127.0.0.1"], ["10.0.0.1"], [], []]
    assert all("port '80' is already in use by service" in text(found.reason) for found in decisions[2:])


def test_a_service_may_publish_a_port_at_two_addresses() -> None:
    w = world(make.service(ports=[make.port(80, 80, host_ip="127.0.0.1"), make.port(80, 81, host_ip="10.0.0.1")]))
    assert [port.target_port for port in w.state.service_decisions["s1"].ports] == [80, 81]


def test_the_first_holder_keeps_a_port_and_the_later_waits_with_the_reason() -> None:
    w = world(
        make.service("late", ports=[make.port(80)], created_at=20.0),
        make.service("early", ports=[make.port(80)], created_at=10.0),
        make.service("udp", ports=[make.port(80, protocol="udp")], created_at=30.0),
    )
    assert text(only(w, "late").reason) == "port '80' is already in use by service 'early' (early)"
    assert len(w.running("early")) == len(w.running("udp")) == 1
    w.delete(SERVICE, "early")
    w.settle()
    assert len(w.running("late")) == 1


def test_without_ingress_published_ports_wait() -> None:
    w = World(make.cluster(), make.node("n1"), make.service(ports=[make.port(80)])).settle()
    assert text(only(w).reason) == "network ingress does not exist"


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_node_has_a_gateway_on_ingress_and_on_the_networks_of_its_tasks() -> None:
    w = world(make.network(), make.service(networks=["net1"]))
    home = only(w).node_id
    assert gateways(w, home) == [INGRESS, "net1"]
    assert gateways(w, {"n1": "n2", "n2": "n1"}[home]) == [INGRESS]
    w.change(replicas=0, networks=["net1"])
    w.settle()
    assert gateways(w, home) == [INGRESS]


def test_a_removed_ingress_takes_its_gateways_along() -> None:
    w = world()
    w.delete(NETWORK, INGRESS)
    w.settle()
    assert gateways(w, "n1") == []
    assert not w.state.network_decisions


def test_a_change_of_leader_changes_no_address() -> None:
    w = world(make.network(), make.service(replicas=5, networks=["net1"], ports=[make.port()]))
    before = (dict(w.state.tasks), dict(w.state.service_decisions), dict(w.state.node_decisions))
    w.new_leader()
    w.settle()
    assert before == (dict(w.state.tasks), dict(w.state.service_decisions), dict(w.state.node_decisions))


# ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_last_quarter_of_a_subnet_is_for_vips() -> None:
    network = make.network()[2]
    assert vip_range(network, ip_network("10.1.2.0/24")) == "10.1.2.192/26"  # type: ignore[arg-type]
    parts = layout(network, NetworkDecision("10.1.2.0/24", "10.1.2.192/26", 5000))
    assert parts.address(parts.hosts[1]) == "10.1.2.191/24"
    assert parts.address(parts.vips[0]) == "10.1.2.192/24"
    assert {parts.address(number) for number in parts.reserved} == {"10.1.2.0/24", "10.1.2.1/24", "10.1.2.255/24"}


def test_free_subnets_are_found_between_and_beyond_those_in_use() -> None:
    used = [ip_network(text) for text in ("10.0.0.0/24", "10.0.2.0/23", "10.0.4.7/32")]
    found = []
    while (subnet := free_subnet(["10.0.0.0/21"], 24, used)) is not None:  # type: ignore[arg-type]
        found.append(str(subnet))
        used.append(subnet)
    assert found == ["10.0.1.0/24", "10.0.5.0/24", "10.0.6.0/24", "10.0.7.0/24"]
