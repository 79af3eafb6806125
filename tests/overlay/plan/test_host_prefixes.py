"""The prefixes that a host uses: from values, and as read from a kernel."""

from __future__ import annotations

import ctypes
import subprocess
import threading

import pytest

from overlay.kernel.kernel_networks import read_host_prefixes
from overlay.plan import host_prefixes


def test_addresses_and_routes_come_to_prefixes_that_are_the_host_s_own() -> None:
    ways = [
        ("192.0.2.7", 24), ("192.0.2.0", 24), ("192.0.2.200", 32), ("10.1.0.0", 17), ("10.1.128.0", 17),
        ("0.0.0.0", 0), ("0.0.0.0", 1), ("128.0.0.0", 1), ("127.0.0.1", 8), ("169.254.0.0", 16), ("224.0.0.0", 4),
    ]  # fmt: skip
    assert host_prefixes.prefixes(ways, 10) == ("10.1.0.0/16", "192.0.2.0/24")


def test_of_too_many_the_widest_are_said() -> None:
    ways = [(f"10.{n}.0.{n}", 32) for n in range(200)] + [("172.16.0.0", 12)]
    found = host_prefixes.prefixes(ways, 128)
    assert len(found) == 128
    assert "172.16.0.0/12" in found


def test_the_host_s_own_network_gets_out_of_the_host_s_way() -> None:
    usual, other = "172.31.240.0/20", "172.30.240.0/20"
    assert host_prefixes.free_of(["192.0.2.0/24"], [usual, other]) == usual
    assert host_prefixes.free_of(["172.31.0.0/16", "10.0.1.1/24"], [usual, other]) == other
    assert host_prefixes.free_of(["172.16.0.0/12"], [usual, other]) == usual


@pytest.mark.root
def test_a_kernel_is_asked_for_all_but_the_cluster_s_own() -> None:
    found: list[tuple[str, ...]] = []

    def run() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0
        for command in (
            "link set lo up", "link add eth0 type veth peer name x", "link set eth0 up", "link set x up",
            "address add 192.0.2.7/25 dev eth0", "address add 198.51.100.1 peer 198.51.100.2 dev x",
            "route add 10.30.0.0/16 via 192.0.2.1", "route add default via 192.0.2.1",
            "route add 10.40.0.0/16 via 192.0.2.1 table 77", "link add ab4097 type bridge", "link set ab4097 up",
            "address add 10.0.1.1/24 dev ab4097", "link add argosy0 type bridge", "link set argosy0 up",
            "address add 172.31.240.1/20 dev argosy0",
        ):  # fmt: skip
            subprocess.run(["ip", *command.split()], check=True)
        found.append(host_prefixes.prefixes(read_host_prefixes(), 128))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [("10.30.0.0/16", "10.40.0.0/16", "192.0.2.0/25", "198.51.100.1/32", "198.51.100.2/32")]
