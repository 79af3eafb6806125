"""The messages are those that Argosy's own encoder wrote before pyroute2 did, and say what it read in the kernel's.

golden/netlink.json: requests as that encoder wrote them (commit a75466e), and answers of a Linux 6.18 with strangers'
devices, addresses, routes, rules and flows beside ours. Bodies are compared as trees: attributes may be in another
order, and whether a nest is marked as one (NLA_F_NESTED) is left out where the kernel does not ask for it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from socket import AF_BRIDGE, AF_INET
from typing import Any

import pytest

from overlay.kernel import netfilter_messages, netlink_messages, nft_elements
from overlay.kernel.kernel_networks import KernelNetworks, container_port, delete_link, find_host, read_host_prefixes
from overlay.kernel.netlink_socket import ACKNOWLEDGE, DUMP, Request, message, messages
from overlay.kernel.pyroute2_codec import body_class, encode, ndmsg
from overlay.plan.datagram_routes import Flow
from overlay.plan.kernel_objects import (
    Address,
    ApplyObject,
    Bridge,
    BridgePort,
    Fdb,
    HostFacts,
    KernelObject,
    Neighbour,
    RemoveObject,
    Route,
    RoutingRule,
    Vxlan,
)
from overlay.plan.port_guard_rules import GuardedPort, keys

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "netlink.json").read_text())
HOST = HostFacts("192.0.2.1", "lo", 1500, 4789)
OBJECTS: dict[str, list[KernelObject]] = {
    "bridge": [
        Bridge("ab4097", "02:42:0a:00:01:01", 1450),
        Bridge("argosy0", "02:42:64:7f:f0:01", 1500),
        Bridge("ab16777215", "02:42:ff:ff:ff:fe", 65535),
    ],
    "vxlan": [
        Vxlan("av4097", "lo", 4097, 4789, "192.0.2.1", 1450),
        Vxlan("av16777215", "lo", 16777215, 65535, "255.255.255.254", 68),
        Vxlan("av1", "lo", 1, 1, "10.0.0.1", 1500),
    ],
    "port": [
        BridgePort("aec0ffee00110", "lo"),
        BridgePort("aec0ffee00110", "lo", True),
        BridgePort("ae0123456789f", "lo"),
    ],
    "address": [
        Address("lo", "10.0.1.1/24"),
        Address("lo", "100.127.240.1/20"),
        Address("lo", "10.255.255.254/32"),
        Address("lo", "0.0.0.1/8"),
    ],
    "fdb": [
        Fdb("lo", "02:42:0a:00:01:0b", "192.0.2.2"),
        Fdb("lo", "02:42:0a:00:01:0b", ""),
        Fdb("lo", "ff:ff:ff:ff:ff:ff", "255.255.255.255"),
        Fdb("lo", "00:00:00:00:00:00", "0.0.0.0"),
    ],
    "neighbour": [
        Neighbour("lo", "10.0.1.11", "02:42:0a:00:01:0b"),
        Neighbour("lo", "255.1.0.255", "0a:0b:0c:0d:0e:0f"),
    ],
    "route": [
        Route("lo", "10.0.1.128/25", 0),
        Route("lo", "10.9.240.0/21", 0),
        Route("lo", "10.0.0.1/32", 0),
        Route("lo", "0.0.0.0/0", 0x5A000002, "10.0.1.2"),
        Route("lo", "0.0.0.0/0", 0x5AFFFFFF, "10.255.255.1"),
    ],
    "rule": [RoutingRule("lo", 0x5A000002), RoutingRule("ab4097", 0x5AFFFFFF)],
}
"""All on the loopback interface, whose number (1) is the same everywhere."""
ON_KERNEL: set[KernelObject] = {
    Address("ab4097", "10.0.1.1/24"),
    Address("argosy0", "100.127.240.1/20"),
    Bridge("ab4097", "02:42:0a:00:01:01", 1450),
    Bridge("argosy0", "02:42:64:7f:f0:01", 1500),
    Fdb("ae00112233440", "02:42:0a:00:01:77", ""),
    Fdb("aec0ffee00110", "02:42:0a:00:01:0b", ""),
    Fdb("av4097", "02:42:0a:00:01:02", ""),
    Fdb("av4097", "02:42:0a:00:01:02", "192.0.2.2"),
    Fdb("av4097", "02:42:0a:00:01:0c", ""),
    Fdb("av4097", "02:42:0a:00:01:0c", "192.0.2.2"),
    Neighbour("ab4097", "10.0.1.12", "02:42:0a:00:01:0c"),
    Neighbour("ab4097", "10.0.1.2", "02:42:0a:00:01:02"),
    BridgePort("ae00112233440", "ab4097", True),
    BridgePort("aec0ffee00110", "ab4097", False),
    Route("ab4097", "0.0.0.0/0", 0x5A000002, "10.0.1.2"),
    Route("ab4097", "10.0.1.128/25", 0),
    RoutingRule("ab4097", 0x5A000002),
    Vxlan("av4097", "ab4097", 4097, 4789, "192.0.2.1", 1450),
}
"""What a75466e read in the same answers."""
CASES = [(kind, number) for kind, objects in OBJECTS.items() for number in range(len(objects))]
NESTED, PEER = 0x8000, 1
_HEADERS = {"link": 16, "peer": 16, "address": 8, "route": 12, "neighbour": 12, "rule": 12, "netfilter": 4}


class Recorded:
    """A socket that answers as the kernel did, and keeps what it is asked to do."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def apply(self, requests: Sequence[Request]) -> None:
        self.requests += requests

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        asked = {
            (netlink_messages.GET_LINK, netlink_messages.all_links()): "links",
            (netlink_messages.GET_ADDRESS, netlink_messages.all_addresses()): "addresses",
            (netlink_messages.GET_NEIGHBOUR, netlink_messages.all_neighbours()): "neighbours",
            (netlink_messages.GET_NEIGHBOUR, netlink_messages.all_forwarding_entries()): "fdb",
            (netlink_messages.GET_ROUTE, netlink_messages.all_routes()): "routes",
            (netlink_messages.GET_RULE, netlink_messages.all_rules()): "rules",
        }
        return map(bytes.fromhex, GOLDEN["answers"][asked[kind, body]])

    def close(self) -> None:
        pass


def tree(body: bytes, golden: bytes, header: str) -> tuple[Any, Any]:
    """Two bodies as (fixed part, attributes by type), the nests being where the golden one has them."""
    size = _HEADERS[header]
    return (body[:size], attributes(body[size:], golden[size:])), (
        golden[:size],
        attributes(golden[size:], golden[size:]),
    )


def attributes(data: bytes, golden: bytes) -> list[tuple[int, Any]]:
    nests = {kind & ~NESTED: value for kind, value in split(golden) if kind & NESTED}
    found = []
    for kind, value in split(data):
        number = kind & ~NESTED
        if number not in nests:
            found.append((number, value))
        elif number == PEER and len(nests[number]) > 16 and nests[number][:16] == bytes(16):
            # VETH_INFO_PEER: a struct ifinfomsg comes first
            found.append((number, (value[:16], attributes(value[16:], nests[number][16:]))))
        else:
            found.append((number, attributes(value, nests[number])))
    return sorted(found, key=repr)


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = struct.unpack_from("=HH", data)
        assert 4 <= length <= len(data)
        yield kind, data[4:length]
        assert not any(data[length : length + (-length % 4)]), "padding is zero"
        data = data[length + (-length % 4) :]


def assert_same(found: Sequence[Request], golden: list[dict[str, Any]], header: str) -> None:
    def facts(request: Request) -> tuple[object, ...]:
        return request.kind, request.flags, request.what, sorted(request.fine)

    assert [facts(one) for one in found] == [(one["kind"], one["flags"], one["what"], one["fine"]) for one in golden]
    for one, other in zip(found, golden, strict=True):
        assert_same_body(one.body, other["body"], header)


def assert_same_body(found: bytes, golden: str, header: str) -> None:
    ours, theirs = tree(found, bytes.fromhex(golden), header)
    assert ours == theirs
    assert len(found) == len(bytes.fromhex(golden))


def header_of(kind: str) -> str:
    return {"bridge": "link", "vxlan": "link", "port": "link", "fdb": "neighbour"}.get(kind, kind)


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_what_is_put_and_removed_is_said_in_the_same_words(kind: str, number: int) -> None:
    what = OBJECTS[kind][number]
    for doing, label in ((ApplyObject(what), "put"), (RemoveObject(what), "remove")):
        socket = Recorded()
        KernelNetworks(HOST, socket).apply([doing])
        golden = GOLDEN["operations"][f"{label} {kind} {number}"]
        if label == "put" or kind in ("address", "fdb", "neighbour", "route", "rule"):
            assert_same(socket.requests, golden, header_of(kind))


def test_a_vxlan_device_whose_host_device_is_unknown_names_none() -> None:
    for number, what in enumerate(OBJECTS["vxlan"]):
        socket = Recorded()
        KernelNetworks(HostFacts("192.0.2.1", "", 1500, 4789), socket).apply([ApplyObject(what)])
        assert_same(socket.requests, GOLDEN["operations"][f"put vxlan {number} without a device"], "link")


def test_a_containers_interface_is_made_in_the_same_words() -> None:
    golden = {name: [one["body"] for one in requests] for name, requests in GOLDEN["sandbox"].items()}
    pair = netlink_messages.veth_pair("lo", 1450, 1, peer="eth0", peer_mac="02:42:0a:00:01:0b", namespace=7)

    assert_same_body(pair, golden["veth pair"][0], "link")
    assert_same_body(netlink_messages.link_up("eth0"), golden["furnish"][0], "link")
    assert_same_body(netlink_messages.address(5, "10.0.1.11", 24), golden["furnish"][1], "address")
    assert_same_body(netlink_messages.default_route("10.0.1.1"), golden["default route"][0], "route")
    assert_same_body(netlink_messages.link_up(index=1), golden["loopback"][0], "link")
    assert_same([delete_link("aec0ffee00110")], GOLDEN["sandbox"]["delete link"], "link")
    settings, entry = GOLDEN["sandbox"]["container port"]
    assert_same(container_port("aec0ffee00110", "02:42:0a:00:01:0b"), [settings], "link")
    assert_same(container_port("lo", "02:42:0a:00:01:0b")[1:], [entry], "neighbour")


def test_questions_are_byte_for_byte_the_same() -> None:
    ipv4, ipv6 = netlink_messages.unsent_tcp_sockets()

    assert {
        "links": netlink_messages.all_links().hex(),
        "addresses": netlink_messages.all_addresses().hex(),
        "neighbours": netlink_messages.all_neighbours().hex(),
        "fdb": netlink_messages.all_forwarding_entries().hex(),
        "routes": netlink_messages.all_routes().hex(),
        "rules": netlink_messages.all_rules().hex(),
        "generation": netfilter_messages.generation().hex(),
        "tcp4": ipv4.hex(),
        "tcp6": ipv6.hex(),
    } == GOLDEN["questions"]


def test_questions_to_conntrack_are_the_same() -> None:
    golden = GOLDEN["conntrack questions"]

    assert_same_body(netfilter_messages.all_flows(), golden["everything"], "netfilter")
    assert_same_body(netfilter_messages.udp_flows(), golden["udp"], "netfilter")
    assert_same_body(netfilter_messages.udp_flows(to_port=5300), golden["port"], "netfilter")
    assert_same_body(netfilter_messages.udp_flows(to="10.0.1.130"), golden["vip"], "netfilter")
    assert_same_body(netfilter_messages.flows_answered_by("10.0.1.11"), golden["answering"], "netfilter")


def test_a_batch_of_elements_is_the_same() -> None:
    guarded_ports = [
        GuardedPort("aec0ffee00110", "02:42:0a:00:01:0b", "10.0.1.11"),
        GuardedPort("ae00112233440", "02:42:0a:00:01:0c", "10.0.1.12"),
    ]
    found, golden = nft_elements.batch("argosy", keys(guarded_ports)), bytes.fromhex(GOLDEN["guard elements"])

    assert len(found) == len(golden)
    for one, other in zip(messages(found), messages(golden), strict=True):
        assert (one.kind, one.sequence) == (other.kind, other.sequence)
        assert_same_body(one.body, other.body.hex(), "netfilter")


def test_headers_are_byte_for_byte_the_same() -> None:
    assert message(28, 0x500 | ACKNOWLEDGE, b"\1\2\3\4", 7).hex() == GOLDEN["headers"][0]
    assert message(18, DUMP, b"\1\2\3\4", 0xFFFFFFFE).hex() == GOLDEN["headers"][1]


def test_what_the_kernel_answers_is_read_as_before() -> None:
    assert KernelNetworks(HOST, Recorded()).read() == ON_KERNEL
    assert find_host("192.0.2.1", 4789, Recorded()) == HostFacts("192.0.2.1", "under", 9000, 4789)
    assert find_host("192.0.2.99", 4789, Recorded()) == HostFacts("192.0.2.99", "", 1500, 4789)
    assert sorted(read_host_prefixes(Recorded())) == sorted(tuple(one) for one in GOLDEN["read"]["ways"])


def test_flows_are_read_and_named_as_before() -> None:
    for golden in GOLDEN["conntrack answers"]:
        body = bytes.fromhex(golden["body"])
        (to, to_port), (answers, port) = golden["to"], golden["answers"]

        assert netfilter_messages.read_flow(body) == Flow(golden["protocol"], (to, to_port), (answers, port))
        assert_same_body(netfilter_messages.flow_to_delete(body), golden["name"], "netfilter")
    assert netfilter_messages.read_generation(bytes.fromhex(GOLDEN["generation answer"])) == 2


def test_a_sieve_lets_through_every_flow_that_is_looked_for_and_few_others() -> None:
    flows = [bytes.fromhex(golden["body"]) for golden in GOLDEN["conntrack answers"]]
    read = [netfilter_messages.read_flow(body) for body in flows]

    for flow in read:
        answered = netfilter_messages.FlowFilter([flow.answers[0]], [])
        assert [one for one in read if one.answers[0] == flow.answers[0]] == [
            one for one, body in zip(read, flows, strict=True) if answered(body) and one.answers[0] == flow.answers[0]
        ]
        for door in ((flow.to[0], 0), ("", flow.to[1])):
            sieve = netfilter_messages.FlowFilter([], [door])
            assert sieve(flows[read.index(flow)]) == (flow.protocol == 17)
    assert not any(map(netfilter_messages.FlowFilter(["192.0.2.77"], [("192.0.2.78", 0), ("", 9)]), flows))


def test_entries_that_are_filled_into_a_template_are_as_pyroute2_encodes_them() -> None:
    kind = body_class(ndmsg.ndmsg)
    for octet, link in ((0, 1), (1, 77), (11, 4096), (255, 4_000_000)):
        address, mac = f"10.{octet}.0.{octet}", f"02:42:0a:{octet:02x}:00:{octet:02x}"
        ip, ethernet = ("NDA_DST", address), ("NDA_LLADDR", mac)

        assert netlink_messages.neighbour(link, address, mac) == encode(
            kind, ip, ethernet, family=AF_INET, ifindex=link, state=ndmsg.NUD_PERMANENT
        )
        assert netlink_messages.host_entry(link, mac, address) == encode(
            kind, ethernet, ip, family=AF_BRIDGE, ifindex=link, state=ndmsg.NUD_PERMANENT, flags=ndmsg.NTF_SELF
        )
        assert netlink_messages.port_entry(link, mac) == encode(
            kind, ethernet, family=AF_BRIDGE, ifindex=link, state=ndmsg.NUD_NOARP, flags=ndmsg.NTF_MASTER
        )
