"""Which flows a change of frontends makes stale."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from api.service.ports import PortConfig
from overlay.kernel.netfilter_messages import FlowFilter, flow_to_delete, read_flow
from overlay.kernel.pyroute2_codec import attribute, nfctsocket
from overlay.plan import datagram_routes
from overlay.plan.datagram_routes import UDP, Flow, Frontend, Frontends
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_fragments import HostPort
from tests.overlay.orders import ingress_snapshot

HOST = "192.0.2.1"
VIP = "10.0.1.130"
FIRST, SECOND = "10.0.1.11", "10.0.1.12"


def snapshot_with(*ports: PortConfig, ready: bool = True) -> NetworkSnapshot:
    snapshot = ingress_snapshot()
    endpoints = tuple(msgspec.structs.replace(endpoint, ready=ready) for endpoint in snapshot.endpoints)
    return replace(
        snapshot, services=(msgspec.structs.replace(snapshot.services[0], ports=list(ports)),), endpoints=endpoints
    )


DNS = PortConfig("", "udp", 53, 5300)


def stale(entries: Frontends, to: tuple[str, int], answers: tuple[str, int], protocol: int = UDP) -> bool:
    return datagram_routes.is_stale(entries, Flow(protocol, to, answers), lambda address: address == HOST)


def test_frontends_are_vips_and_published_udp_ports() -> None:
    tcp = PortConfig(target_port=80, published_port=8080)

    assert datagram_routes.of_snapshot(snapshot_with(tcp, DNS)) == {
        Frontend(VIP): {(FIRST, 0), (SECOND, 0)},
        Frontend("", 5300): {(FIRST, 53), (SECOND, 53)},
    }
    assert datagram_routes.of_snapshot(snapshot_with(DNS, ready=False)) == {Frontend(VIP): frozenset()}
    assert datagram_routes.of_ports([HostPort("udp", 5301, FIRST, 53, HOST), HostPort("tcp", 80, FIRST, 80)]) == {
        Frontend(HOST, 5301): {(FIRST, 53)}
    }


def test_only_frontends_that_lost_a_target_and_new_ports_are_checked() -> None:
    one, both = frozenset({(FIRST, 53)}), frozenset({(FIRST, 53), (SECOND, 53)})
    port, vip = Frontend("", 5300), Frontend(VIP)

    assert list(datagram_routes.to_check({}, {port: one, vip: one})) == [port]
    assert list(datagram_routes.to_check({port: one, vip: one}, {port: both, vip: both})) == []
    assert set(datagram_routes.to_check({port: both, vip: both}, {port: one})) == {port, vip}
    assert list(datagram_routes.to_check({port: one}, {port: one})) == []


def test_a_flow_that_does_not_follow_its_frontend_is_stale() -> None:
    entries = datagram_routes.of_snapshot(snapshot_with(DNS))

    assert not stale(entries, (HOST, 5300), (FIRST, 53))
    assert stale(entries, (HOST, 5300), (HOST, 5300)), "older than the port"
    assert stale(entries, (HOST, 5300), (FIRST, 54)), "led to another port"
    assert stale(entries, (HOST, 5300), ("10.0.1.99", 53)), "led to somebody else"
    assert not stale(entries, (VIP, 9), (FIRST, 9))
    assert stale(entries, (VIP, 9), ("10.0.1.99", 9))


def test_a_port_that_is_gone_leads_nowhere_and_what_was_never_led_stays() -> None:
    assert stale({}, (HOST, 5300), (FIRST, 53))
    assert not stale({}, (HOST, 5300), (HOST, 5300))


def test_flows_that_pass_by_and_tcp_are_never_stale() -> None:
    entries = datagram_routes.of_snapshot(snapshot_with(DNS))

    assert not stale(entries, ("198.51.100.1", 5300), ("198.51.100.1", 5300))
    assert not stale(entries, (HOST, 5300), ("10.0.1.99", 53), protocol=6)


def test_a_port_at_one_address_is_the_door_there() -> None:
    entries = datagram_routes.merge(
        [
            datagram_routes.of_ports([HostPort("udp", 5300, "10.0.1.13", 53, HOST)]),
            datagram_routes.of_snapshot(snapshot_with(DNS)),
        ]
    )

    assert not stale(entries, (HOST, 5300), ("10.0.1.13", 53))
    assert stale(entries, (HOST, 5300), (FIRST, 53))


ENTRY = bytes.fromhex(
    "02000000"
    "34000180" "14000180" "08000100c0000209" "08000200c0000201"
    "1c000280" "0500010011000000" "0600020013880000" "0600030014b40000"
    "34000280" "14000180" "080001000a00010b" "08000200c0000209"
    "1c000280" "0500010011000000" "0600020000350000" "0600030013880000"
)  # fmt: skip
"""192.0.2.9:5000 → 192.0.2.1:5300, answered by 10.0.1.11:53, as the kernel tells it."""


def test_an_entry_is_read_and_passed_over_without_reading_it() -> None:
    assert read_flow(ENTRY) == Flow(UDP, (HOST, 5300), (FIRST, 53))
    assert FlowFilter([FIRST], [])(ENTRY)
    assert FlowFilter([], [("", 5300)])(ENTRY)
    assert FlowFilter([], [(HOST, 0)])(ENTRY)
    assert not FlowFilter([SECOND], [("", 5301), (VIP, 0)])(ENTRY)


def test_an_entry_is_deleted_by_who_answers_as_its_client_may_have_begun_another() -> None:
    """Both have the same first tuple, and the kernel gives them the same id."""
    body = ENTRY + attribute(nfctsocket.nfct_msg, "CTA_ID", 77)
    other = body.replace(bytes([10, 0, 1, 11]), bytes([10, 0, 1, 12]))
    deletion, first_tuple = flow_to_delete(body), ENTRY[4:56]

    assert first_tuple in body
    assert first_tuple in other
    assert first_tuple not in deletion
    assert ENTRY[56:] in deletion
    assert deletion != flow_to_delete(other)
