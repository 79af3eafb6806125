"""An assignment that the kernel or nftables rejects does not stop the others."""

from __future__ import annotations

import pytest

from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from overlay.interface import NetworkView
from tests.overlay.hosts import Cluster, TestHost, until

pytestmark = pytest.mark.root


def network(number: int, subnet: str, gateway: str) -> NetworkAssignment:
    return NetworkAssignment(f"n{number}", f"net{number}", 5000 + number, subnet, "", gateway)


def on(
    network: NetworkAssignment, address: str, host: str = "192.0.2.7"
) -> tuple[EndpointAssignment, PeerAssignment, ServiceAssignment]:
    """Something behind a virtual address, and a peer."""
    id, base = network.id, address.rpartition(".")[0]
    return (
        EndpointAssignment(f"t.{id}", id, "s", "t", "web.1.t", "h7", host, address, ready=True),
        PeerAssignment(f"h7.{id}", id, "h7", host, f"{base}.3"),
        ServiceAssignment(f"s.{id}", id, "s", "web", f"{base}.200"),
    )


def view(
    *networks: tuple[NetworkAssignment, tuple[EndpointAssignment, PeerAssignment, ServiceAssignment]],
) -> NetworkView:
    return NetworkView(
        {n.id: n for n, _ in networks},
        {s.id: s for _, (_, _, s) in networks},
        {e.id: e for _, (e, _, _) in networks},
        {p.id: p for _, (_, p, _) in networks},
    )


def works(host: TestHost, network: NetworkAssignment, backend: str) -> bool:
    """Device, neighbour and rules are there."""
    link = f"ab{network.vni}"
    return backend in host.inside(
        "ip", "neighbour", "show", "dev", link, check=False
    ) and f'"{link}" . {backend.rpartition(".")[0]}.200' in host.inside("nft", "list", "map", "ip", "argosy", "vips")


def test_hosts_and_subnets_that_no_kernel_takes_stop_their_own_network_only(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    bad = network(1, "10.91.1.0/24", "10.91.1.1/24")
    first, overlapping = network(2, "10.91.2.0/24", "10.91.2.1/24"), network(3, "10.91.2.0/25", "10.91.2.126/25")
    last = network(4, "10.91.4.0/24", "10.91.4.1/24")
    host.update(
        view(
            (bad, on(bad, "10.91.1.9", "not-an-ip")),
            (first, on(first, "10.91.2.9")),
            (overlapping, on(overlapping, "10.91.2.10")),
            (last, on(last, "10.91.4.9")),
        ),
        do="tell",
    )
    until(lambda: works(host, last, "10.91.4.9") and works(host, first, "10.91.2.9"), 30)
    told = host.do("troubles")
    assert isinstance(told, list)
    assert "network net3: nftables does not take its rules" in told
    assert any(one.startswith("networks: not as wanted: ") for one in told)

    later = network(5, "10.91.5.0/24", "10.91.5.1/24")
    host.update(view((bad, on(bad, "10.91.1.9", "not-an-ip")), (later, on(later, "10.91.5.9"))), do="tell")
    until(lambda: works(host, later, "10.91.5.9"), 30)

    host.update(view((later, on(later, "10.91.5.9"))))
    assert "ab5001" not in host.inside("ip", "-br", "link")
    assert host.do("troubles") == []
