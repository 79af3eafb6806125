from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from overlay.plan.applicable_entries import wrong
from overlay.plan.host_state import HostState
from overlay.plan.kernel_objects import HostFacts
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_rules import NftFragment
from overlay.plan.rejected_fragments import rejected

NETWORK = NetworkAssignment("net", "shop", 4097, "10.0.1.0/24", "10.0.1.0/25", "10.0.1.130/24")
SERVICE = ServiceAssignment(
    "s.net", "net", "s", "web", "10.0.1.2", ports=[PortConfig(target_port=80, published_port=8080)]
)
ENDPOINT = EndpointAssignment("t.net", "net", "s", "t", "web.1.t", "n", "192.0.2.1", "10.0.1.140")
PEER = PeerAssignment("n.net", "net", "n", "192.0.2.1", "10.0.1.131")
HOST = HostFacts("192.0.2.9", "eth0", 1500, 4789)


@pytest.mark.parametrize(
    "good", [NETWORK, SERVICE, ENDPOINT, PEER, replace(ENDPOINT, host=""), replace(NETWORK, vip_range="")]
)
def test_what_can_be_applied_is(good: Any) -> None:
    assert wrong(good) == ""


@pytest.mark.parametrize(
    "bad",
    [
        replace(NETWORK, vni=0),
        replace(NETWORK, vni=1 << 24),
        replace(NETWORK, vni=-1),
        replace(NETWORK, subnet="10.0.1.0"),
        replace(NETWORK, subnet="fd00::/64"),
        replace(NETWORK, vip_range="x"),
        replace(NETWORK, gateway="10.0.1.130"),
        replace(NETWORK, gateway="10.9.1.130/24"),
        replace(NETWORK, mtu=3),
        replace(SERVICE, vip="x"),
        replace(SERVICE, ports=[PortConfig(target_port=80, published_port=99999)]),
        replace(SERVICE, ports=[PortConfig(target_port=0, published_port=80)]),
        replace(SERVICE, ports=[PortConfig(target_port=80, published_port=80, host_ip="here")]),
        replace(ENDPOINT, host="not-an-ip"),
        replace(ENDPOINT, address=""),
        replace(ENDPOINT, address="10.0.1.140/24"),
        replace(ENDPOINT, mac_address="02:42"),
        replace(PEER, host="not-an-ip"),
        replace(PEER, gateway="1.2.3"),
    ],
    ids=str,
)
def test_what_cannot_be_applied_is_named(bad: Any) -> None:
    assert len(wrong(bad)) > 10


def test_a_network_that_nothing_can_be_planned_for_stays_as_it_was_and_stops_no_other() -> None:
    # behind the check of entries: something that nobody has thought of
    odd = NetworkSnapshot(NETWORK, endpoints=(replace(ENDPOINT, address="x", ready=True),), services=(SERVICE,))
    other = NetworkSnapshot(replace(NETWORK, id="b", vni=4098, subnet="10.0.2.0/24", gateway="10.0.2.130/24"))
    first = HostState().towards({"net": NetworkSnapshot(NETWORK), "b": other}, (), frozenset(), HOST)
    then = first.towards({"net": odd, "b": other, "c": odd}, (), frozenset(), HOST)
    assert (set(then.snapshots), set(then.broken)) == ({"net", "b"}, {"net", "c"})
    assert then.snapshots["net"] == NetworkSnapshot(NETWORK)
    assert then.plans == first.plans
    assert then.merged == first.merged


def test_rules_that_do_not_load_are_left_out_and_no_others() -> None:
    fragments = {name: NftFragment({"subnets": frozenset({name})}) for name in ("a", "bad", "c")}

    def loads(fragment: NftFragment) -> bool:
        return "bad" not in fragment.sets.get("subnets", ())

    assert rejected(NftFragment(), fragments, loads) == {"bad": fragments["bad"]}
    assert rejected(NftFragment(), fragments, lambda _: False) == {}
