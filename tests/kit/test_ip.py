"""Addresses as numbers, and with their port."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from kit.ip import address_of, join_host_port, number_of


@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.1.7", "127.0.0.1", "192.168.255.254", "255.255.255.255"])
def test_numbers_are_those_of_the_standard_library(address: str) -> None:
    assert number_of(address) == number_of(f"{address}/24") == int(IPv4Address(address))
    assert address_of(number_of(address)) == address


def test_an_ipv6_address_has_brackets_before_a_port() -> None:
    assert join_host_port("10.0.0.1", 2377) == "10.0.0.1:2377"
    assert join_host_port("fd00::1", 2377) == "[fd00::1]:2377"
