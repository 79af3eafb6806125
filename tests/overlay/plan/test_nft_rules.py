"""The rules as text; a change rewrites only what it must."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment
from overlay.kernel.nftables import NftContext
from overlay.plan import nft_fragments, nft_rules
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_fragments import HostPort
from overlay.plan.nft_rules import NftFragment
from tests.overlay.orders import HOST, ingress_snapshot

T = TypeVar("T")
GOLDEN = Path(__file__).parents[1] / "golden" / "rules.nft"


def fragment_of(snapshot: NetworkSnapshot) -> NftFragment:
    ports = nft_fragments.host_ports_fragment([HostPort("udp", 5353, "10.0.1.11", 53)])
    return nft_rules.merge([ports, nft_fragments.network_fragment(snapshot, HOST.address)])


def unready(endpoint: EndpointAssignment) -> EndpointAssignment:
    return msgspec.structs.replace(endpoint, ready=False)


def test_the_whole_table_reads_like_this() -> None:
    assert nft_rules.full("argosy", fragment_of(ingress_snapshot()), 4789) == GOLDEN.read_text()


def test_equal_networks_need_no_change() -> None:
    assert nft_rules.delta("argosy", fragment_of(ingress_snapshot()), fragment_of(ingress_snapshot())) == ""


def test_an_endpoint_that_is_no_longer_ready_costs_two_small_chains_and_its_way_back() -> None:
    before = ingress_snapshot()
    after = replace(before, endpoints=(before.endpoints[0], unready(before.endpoints[1])))

    assert nft_rules.delta("argosy", fragment_of(before), fragment_of(after)).splitlines() == [
        "flush chain ip argosy mesh_tcp_8080",
        'add rule ip argosy mesh_tcp_8080 meta l4proto tcp ct timeout set "minute" dnat ip to 10.0.1.11:80',
        "flush chain ip argosy vip_4097_10_0_1_130",
        'add rule ip argosy vip_4097_10_0_1_130 ct timeout set "brief" dnat to 10.0.1.11',
        "delete element ip argosy self { 192.0.2.2 . 10.0.1.12 }",
    ]


def test_a_vip_without_ready_endpoints_is_not_in_the_map_and_its_chain_goes_last() -> None:
    before = ingress_snapshot()
    after = replace(before, endpoints=tuple(unready(endpoint) for endpoint in before.endpoints))

    lines = nft_rules.delta("argosy", fragment_of(before), fragment_of(after)).splitlines()

    assert 'delete element ip argosy vips { "ab4097" . 10.0.1.130 }' in lines
    assert lines[-1] == "delete chain ip argosy vip_4097_10_0_1_130"


def test_vxlan_is_heard_from_hosts_of_that_network_only_at_the_cluster_s_own_port() -> None:
    before = ingress_snapshot()
    alone = replace(before, endpoints=before.endpoints[:1], peers=before.peers[:1])
    text = nft_rules.full("argosy", fragment_of(before), 4242)

    assert "udp dport 4242 jump tunnels" in text
    assert "4789" not in text
    assert fragment_of(before).sets["senders"] == {"192.0.2.2 . 0x1001"}
    assert "delete element ip argosy senders { 192.0.2.2 . 0x1001 }" in nft_rules.delta(
        "argosy", fragment_of(before), fragment_of(alone)
    )


def test_two_claims_on_a_port_leave_the_first() -> None:
    mine = nft_fragments.host_ports_fragment([HostPort("tcp", 8080, "172.31.240.2", 80)])
    merged = nft_rules.merge([mine, nft_fragments.network_fragment(ingress_snapshot(), HOST.address)])

    assert merged.sets["ports"] == {"tcp . 8080 : goto host_tcp_8080"}


def test_a_port_at_one_address_is_in_a_map_of_its_own_with_that_address() -> None:
    snapshot = ingress_snapshot()
    port = PortConfig(target_port=80, published_port=8080, host_ip="127.0.0.1")
    only = replace(snapshot, services=(msgspec.structs.replace(snapshot.services[0], ports=[port]),))
    mine = nft_fragments.host_ports_fragment([HostPort("tcp", 8080, "10.0.1.11", 80, "192.0.2.1")])

    fragment = nft_rules.merge([mine, nft_fragments.network_fragment(only, HOST.address)])

    assert "ports" not in fragment.sets
    assert fragment.sets["addressed"] == {
        "127.0.0.1 . tcp . 8080 : goto mesh_tcp_8080_127_0_0_1",
        "192.0.2.1 . tcp . 8080 : goto host_tcp_8080_192_0_2_1",
    }


def elsewhere(work: Callable[[], T]) -> T:
    """Run in a thread that has a network namespace of its own, which ends with it."""
    found: list[T] = []

    def run() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.root
def test_nftables_accepts_the_table_and_every_change_of_it() -> None:
    before = ingress_snapshot()
    local = PortConfig(target_port=80, published_port=8080, host_ip="127.0.0.1")
    states = [
        fragment_of(before),
        fragment_of(replace(before, endpoints=(before.endpoints[0], unready(before.endpoints[1])))),
        fragment_of(replace(before, endpoints=())),
        fragment_of(replace(before, network=msgspec.structs.replace(before.network, internal=True))),
        fragment_of(replace(before, services=(msgspec.structs.replace(before.services[0], ports=[local]),))),
        NftFragment(),
        fragment_of(before),
    ]

    def listings() -> tuple[str, str]:
        nft = NftContext()
        nft.run(nft_rules.full("argosy", states[0], 4789))
        first = nft.run("list table ip argosy")
        for old, new in pairwise(states):
            nft.run(nft_rules.delta("argosy", old, new))
        last = nft.run("list table ip argosy")
        nft.close()
        return first, last

    first, last = elsewhere(listings)

    # the same rules, whichever way led to them (chains stand in the order they were made)
    assert sorted(last.split()) == sorted(first.split())
