"""The kernel objects that this host should have for a network: bridge, VXLAN device, entries and routes. Pure.

Second step of a change: view → snapshots → *plan* → diff → kernel. Containers' own interfaces are not planned here:
they are made and removed with their sandbox (sandboxes.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from overlay.plan import link_names
from overlay.plan.kernel_objects import (
    Address,
    Bridge,
    Fdb,
    HostFacts,
    KernelObject,
    Neighbour,
    Route,
    RoutingRule,
    Vxlan,
)
from overlay.plan.network_snapshot import NetworkSnapshot

Plan = frozenset[KernelObject]


def plan(snapshot: NetworkSnapshot, host: HostFacts) -> Plan:
    """All kernel objects that the network needs on this host."""
    return (
        frozenset(_devices(snapshot, host)) | frozenset(_remote(snapshot, host)) | frozenset(_returns(snapshot, host))
    )


def mtu_of(snapshot: NetworkSnapshot, host: HostFacts) -> int:
    """The network's own MTU in bytes, else the largest that fits through the underlay."""
    overhead = host.vxlan_overhead if snapshot.network.vni else 0
    return snapshot.network.mtu or host.mtu - overhead


def _devices(snapshot: NetworkSnapshot, host: HostFacts) -> Iterator[KernelObject]:
    network = snapshot.network
    bridge, mtu = link_names.bridge(network.vni), mtu_of(snapshot, host)
    gateway = network.gateway.partition("/")[0]
    yield Bridge(bridge, link_names.mac(gateway), mtu)
    yield Address(bridge, network.gateway)
    if network.vni:
        yield Vxlan(link_names.vxlan(network.vni), bridge, network.vni, host.vxlan_port, host.address, mtu)
    if network.vip_range:
        # the host answers ARP for the whole range, so no VIP needs an address of its own
        yield Route(bridge, network.vip_range, 0)


def _remote(snapshot: NetworkSnapshot, host: HostFacts) -> Iterator[KernelObject]:
    """The entries for everything on other hosts: containers, ready or not, and the hosts' bridges."""
    if not snapshot.network.vni:
        return
    bridge, vxlan = link_names.bridge(snapshot.network.vni), link_names.vxlan(snapshot.network.vni)
    places = {e.address: (e.host, e.mac_address) for e in snapshot.endpoints}
    places |= {p.gateway: (p.host, "") for p in snapshot.peers}
    for address, (where, own) in places.items():
        if where and address and where != host.address:
            mac = own or link_names.mac(address)
            yield Fdb(vxlan, mac, where)
            yield Fdb(vxlan, mac, "")
            yield Neighbour(bridge, address, mac)


def _returns(snapshot: NetworkSnapshot, host: HostFacts) -> Iterator[KernelObject]:
    """Routes for replies of mesh connections, to the host that they came in through: it translates them back."""
    if not snapshot.ingress:
        return
    bridge = link_names.bridge(snapshot.network.vni)
    for peer in snapshot.peers:
        if peer.host != host.address:
            table = link_names.mark(peer.gateway, snapshot.network.subnet)
            yield Route(bridge, "0.0.0.0/0", table, peer.gateway)
            yield RoutingRule(bridge, table)
