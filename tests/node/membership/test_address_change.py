"""A host whose address has disappeared takes its present one, or reports why that is unclear."""

from __future__ import annotations

from msgspec.structs import replace

from node.membership.address_change import relocate
from node.membership.identity import Membership

MEMBERSHIP = Membership(
    node_id="n1",
    cluster_id="c",
    listen_addr="0.0.0.0:2377",
    address="192.0.2.1",
    advertise_addr="192.0.2.1",
    interface="eth0",
    managers=["192.0.2.1:7946", "192.0.2.2:7946"],
    apis=["192.0.2.1:2377", "192.0.2.2:2377"],
)
LO = {"lo": ["127.0.0.1"]}


def test_an_address_that_is_there_stays_and_its_interface_is_remembered() -> None:
    found = relocate(replace(MEMBERSHIP, interface=""), {**LO, "eth0": ["192.0.2.1"]})
    assert found.membership == MEMBERSHIP
    assert not found.moves(MEMBERSHIP)
    assert found.trouble == ""


def test_one_that_is_gone_is_replaced_by_what_its_interface_has_now() -> None:
    present = {**LO, "eth0": ["192.0.2.77"], "eth1": ["198.51.100.4"]}
    found = relocate(MEMBERSHIP, present, port=7946)
    assert found.moves(MEMBERSHIP)
    assert found.membership.address == "192.0.2.77"
    assert found.membership.managers == ["192.0.2.77:7946", "192.0.2.2:7946"]
    assert found.membership.apis == ["192.0.2.77:2377", "192.0.2.2:2377"]
    assert found.membership.listen_addr == "0.0.0.0:2377"
    assert not relocate(found.membership, present, port=7946).moves(found.membership)


def test_where_it_listened_on_that_address_it_listens_on_the_new_one() -> None:
    found = relocate(replace(MEMBERSHIP, listen_addr="192.0.2.1:4000"), {**LO, "eth0": ["192.0.2.77"]})
    assert found.membership.listen_addr == "192.0.2.77:4000"


def test_an_interface_that_was_named_is_preferred_and_the_only_address_does_where_none_is_left() -> None:
    present = {**LO, "eth0": ["192.0.2.77"], "eth1": ["198.51.100.4"]}
    assert relocate(MEMBERSHIP, present, "eth1").membership.address == "198.51.100.4"
    found = relocate(MEMBERSHIP, {**LO, "eth0": [], "eth9": ["198.51.100.9"], "ab4097": ["10.0.0.1"]})
    assert (found.membership.address, found.membership.interface) == ("198.51.100.9", "eth9")


def test_a_public_address_in_front_of_the_host_is_left_alone() -> None:
    behind = replace(MEMBERSHIP, address="203.0.113.5", interface="")
    found = relocate(behind, {**LO, "eth0": ["192.0.2.77"]})
    assert found.membership == behind
    assert found.trouble == ""


def test_what_cannot_be_told_is_said_and_nothing_changes() -> None:
    two = {**LO, "eth0": [], "eth1": ["198.51.100.4"], "eth2": ["198.51.100.5"]}
    found = relocate(MEMBERSHIP, two)
    assert not found.moves(MEMBERSHIP)
    assert "192.0.2.1 is not on this host any more" in found.trouble
    assert "multiple addresses" in found.trouble
    none = relocate(MEMBERSHIP, {**LO, "eth0": []})
    assert "could not find the system's IP address" in none.trouble


def test_the_data_paths_own_address_follows_its_interface() -> None:
    apart = replace(MEMBERSHIP, data_path_addr="198.51.100.4")
    there = relocate(apart, {**LO, "eth0": ["192.0.2.1"], "eth1": ["198.51.100.4"]}).membership
    assert there.data_path_interface == "eth1"
    found = relocate(there, {**LO, "eth0": ["192.0.2.1"], "eth1": ["198.51.100.40"]})
    assert found.moves(there)
    assert (found.membership.address, found.membership.data_path_addr) == ("192.0.2.1", "198.51.100.40")
