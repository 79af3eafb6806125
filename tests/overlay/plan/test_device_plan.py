"""The kernel objects that a network needs on a host."""

from __future__ import annotations

from overlay.plan.device_plan import plan
from overlay.plan.kernel_objects import Address, Bridge, Fdb, Neighbour, Route, RoutingRule, Vxlan
from overlay.plan.network_snapshot import NetworkSnapshot, local_snapshot
from tests.overlay.orders import HOST, endpoint, ingress_snapshot, network


def test_a_network_is_a_bridge_and_a_vxlan_device_with_entries_for_remote_endpoints_only() -> None:
    snapshot = NetworkSnapshot(
        network(), (), (endpoint("a", "10.0.1.11", "192.0.2.1"), endpoint("b", "10.0.1.12", "192.0.2.2", ready=False))
    )

    assert plan(snapshot, HOST) == {
        Bridge("ab4097", "02:42:0a:00:01:01", 1450),
        Vxlan("av4097", "ab4097", 4097, 4789, "192.0.2.1", 1450),
        Address("ab4097", "10.0.1.1/24"),
        Route("ab4097", "10.0.1.128/25", 0),
        Fdb("av4097", "02:42:0a:00:01:0c", "192.0.2.2"),
        Fdb("av4097", "02:42:0a:00:01:0c", ""),
        Neighbour("ab4097", "10.0.1.12", "02:42:0a:00:01:0c"),
    }


def test_the_ingress_network_has_a_way_back_to_every_other_host() -> None:
    wanted = plan(ingress_snapshot(), HOST)

    assert {what for what in wanted if isinstance(what, RoutingRule) or (isinstance(what, Route) and what.table)} == {
        Route("ab4097", "0.0.0.0/0", 0x5A000002, "10.0.1.2"),
        RoutingRule("ab4097", 0x5A000002),
    }


def test_the_hosts_own_network_has_no_vxlan_and_the_full_packet_size() -> None:
    wanted = plan(local_snapshot("172.31.240.0/20", "172.31.240.1/20", 0), HOST)

    assert wanted == {Bridge("argosy0", "02:42:ac:1f:f0:01", 1500), Address("argosy0", "172.31.240.1/20")}
