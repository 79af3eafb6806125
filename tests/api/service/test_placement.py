"""Placement constraints: what parses, what matches."""

from __future__ import annotations

import pytest

from api.errors import Invalid
from api.node_spec import NodeSpec
from api.objects.node_matching import matches
from api.objects.observed import EngineDescription, NodeDescription
from api.objects.wanted import Node
from api.service.placement import parse
from api.states import Role

NODE = Node("abc123", spec=NodeSpec(labels={"zone": "East", "Zone": "other"}, role=Role.MANAGER))
SEEN = NodeDescription(
    hostname="Host-1", architecture="x86_64", os="linux", address="192.168.1.7",
    engine=EngineDescription(labels={"storage": "ssd"}),
)  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "node.id == abc123",
        "node.id==ABC123",
        "node.hostname == host-1",
        "node.hostname != host-2",
        "node.role == manager",
        "node.role != worker",
        "node.ip == 192.168.1.7",
        "node.ip == 192.168.1.0/24",
        "node.ip != 10.0.0.0/8",
        "node.ip != 2001:db8::/32",
        "node.platform.os == Linux",
        "node.platform.arch == amd64",
        "node.platform.arch == x86_64",
        "node.labels.zone == east",
        "node.labels.Zone == other",
        "node.labels.missing != anything",
        "engine.labels.storage == ssd",
        "engine.labels.zone != east",
        "NODE.ROLE == manager",
    ],
)
def test_the_node_matches(expression: str) -> None:
    assert matches([expression], NODE, SEEN)


@pytest.mark.parametrize(
    "expression",
    [
        "node.id == other",
        "node.role == worker",
        "node.id != abc123",
        "node.hostname == host-2",
        "node.hostname != HOST-1",
        "node.ip == 192.168.2.0/24",
        "node.ip == 192.168.1.8",
        "node.ip != 192.168.1.7",
        "node.ip != 192.168.0.0/16",
        "node.ip == 2001:db8::/32",
        "node.platform.os == windows",
        "node.platform.os != linux",
        "node.labels.zone != East",
        "node.labels.zone == east-1",
        "engine.labels.storage != ssd",
        "engine.labels.STORAGE == ssd",
        "node.labels.ZONE == east",
        "node.labels.missing == anything",
        "node.labels.storage == ssd",
        "engine.labels.zone == east",
        "node.platform.arch == arm64",
    ],
)
def test_the_node_does_not_match(expression: str) -> None:
    assert not matches([expression], NODE, SEEN)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("node.ip == 2001:db8::1", True), ("node.ip == 2001:DB8:0::1", True), ("node.ip == 2001:db8::/32", True),
        ("node.ip != 2001:db8::/32", False), ("node.ip == 2001:db8::2", False), ("node.ip == 2001:db9::/32", False),
        ("node.ip == 10.0.0.0/8", False), ("node.ip != 10.0.0.1", True),
    ],
)  # fmt: skip
def test_a_node_with_an_ipv6_address_matches_by_it(expression: str, holds: bool) -> None:
    seen = NodeDescription(hostname="h", address="2001:db8::1")
    assert matches([expression], NODE, seen) is holds


def test_all_constraints_must_hold() -> None:
    assert matches(["node.role == manager", "node.labels.zone == east"], NODE, SEEN)
    assert not matches(["node.role == manager", "node.labels.zone == west"], NODE, SEEN)


def test_no_constraints_match_every_node() -> None:
    assert matches([], NODE, None)


def test_a_node_that_said_nothing_of_itself_matches_only_what_it_is_not() -> None:
    assert matches(["node.hostname != x"], NODE, None)
    assert not matches(["node.platform.os == linux"], NODE, None)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("node.id", "expected one operator from ==, !="),
        ("node.id = abc", "expected one operator"),
        ("node.id > abc", "expected one operator"),
        ("no de.id == abc", "key 'no de.id' is invalid"),
        (" == abc", "key '' is invalid"),
        ("node.id == ", "value '' is invalid"),
        ("node.id == a{b", "value 'a{b' is invalid"),
        ("node.name == a", "unknown key 'node.name'; known are node.id, "),
        ("node.labels. == a", "unknown key"),
        ("", "expected one operator"),
        ("node.role == a{2}", "value 'a{2}' is invalid"),
        ("node.ho*t == a", "key 'node.ho*t' is invalid"),
        ("node.ip == 10.0.0.0/33", "neither an IP address nor a network"),
        ("node.ip == 10.0.0", "neither an IP address nor a network"),
    ],
)
def test_what_does_not_parse_is_refused_with_a_sentence(expression: str, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse([expression])
    assert complaint in str(caught.value)
    assert not matches([expression], NODE, SEEN)
