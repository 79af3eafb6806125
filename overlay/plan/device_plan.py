"""Pure: a network and the host's facts → the kernel objects this host should have for it.

Second station of a change: view → slices → *plan* → diff → netlink. Containers' own interfaces are not planned here:
they live and die with their sandbox (sandboxes.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from overlay.plan import link_names
from overlay.plan.kernel_objects import Address, Bridge, Fdb, HostFacts, KernelObject, Neighbour, Route, Rule, Vxlan
from overlay.plan.network_snapshot import Slice

Plan = frozenset[KernelObject]


def plan(slice: Slice, host: HostFacts) -> Plan:
    """Everything the network needs on this host."""
    return frozenset(_devices(slice, host)) | frozenset(_remote(slice, host)) | frozenset(_returns(slice, host))


def mtu_of(slice: Slice, host: HostFacts) -> int:
    """What fits through the underlay, unless the network says its own."""
    overhead = host.vxlan_overhead if slice.network.vni else 0
    return slice.network.mtu or host.mtu - overhead


def _devices(slice: Slice, host: HostFacts) -> Iterator[KernelObject]:
    network = slice.network
    bridge, mtu = link_names.bridge(network.vni), mtu_of(slice, host)
    gateway = network.gateway.partition("/")[0]
    yield Bridge(bridge, link_names.mac(gateway), mtu)
    yield Address(bridge, network.gateway)
    if network.vni:
        yield Vxlan(link_names.vxlan(network.vni), bridge, network.vni, host.vxlan_port, host.address, mtu)
    if network.vip_range:
        # the host answers ARP for the whole range, so a VIP needs no address of its own
        yield Route(bridge, network.vip_range, 0)


def _remote(slice: Slice, host: HostFacts) -> Iterator[KernelObject]:
    """Who is behind which host: containers, ready or not, and the other hosts' bridges."""
    if not slice.network.vni:
        return
    bridge, vxlan = link_names.bridge(slice.network.vni), link_names.vxlan(slice.network.vni)
    places = {e.address: (e.host, e.mac_address) for e in slice.endpoints}
    places |= {p.gateway: (p.host, "") for p in slice.peers}
    for address, (where, own) in places.items():
        if where and address and where != host.address:
            mac = own or link_names.mac(address)
            yield Fdb(vxlan, mac, where)
            yield Fdb(vxlan, mac, "")
            yield Neighbour(bridge, address, mac)


def _returns(slice: Slice, host: HostFacts) -> Iterator[KernelObject]:
    """The way back of mesh connections: to the host that let them in, which translates them back."""
    if not slice.ingress:
        return
    bridge = link_names.bridge(slice.network.vni)
    for peer in slice.peers:
        if peer.host != host.address:
            table = link_names.mark(peer.gateway, slice.network.subnet)
            yield Route(bridge, "0.0.0.0/0", table, peer.gateway)
            yield Rule(bridge, table)
