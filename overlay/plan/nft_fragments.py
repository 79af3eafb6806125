"""What each network, and each port published on this host only, adds to the nftables table (nft_rules.py). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from api.service.ports import PortConfig
from api.wire.assignments import ServiceAssignment
from overlay.plan import link_names
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_rules import BRIEF, MINUTE, Elements, NftFragment, Rules


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port published on this host only, and the address and port that it leads to."""

    protocol: Literal["tcp", "udp", "sctp"]
    published: int
    address: str
    target: int
    host_ip: str = ""
    """The host address at which it is published; "" for all of them."""


def network_fragment(snapshot: NetworkSnapshot, host: str) -> NftFragment:
    """The fragment of a network; `host` is this host's underlay address."""
    network = snapshot.network
    link = f'"{link_names.bridge(network.vni)}"'
    backends = _backends(snapshot)
    sets = {
        "bridges": frozenset({link}),
        "same": frozenset({f"{link} . {link}"}),
        "own": frozenset({f"{link} . {network.subnet}"}),
        "subnets": frozenset({network.subnet}),
        "self": frozenset(_hairpins(snapshot, host)),
    }
    if network.internal:
        sets["internal"] = frozenset({link})
    else:
        sets["outbound"] = frozenset({network.subnet})
    if network.vni:
        others = _others(snapshot, host)
        sets["senders"] = frozenset(f"{other} . {network.vni:#x}" for other in others)
        sets["hosts"] = frozenset({*others, host})
    if network.vip_range:
        sets["vipranges"] = frozenset({network.vip_range})
    chains = dict(_vip_chains(snapshot, backends))
    sets["vips"] = frozenset(
        f"{link} . {service.vip} : goto {chain}" for chain, service in _vip_names(snapshot, backends)
    )
    if snapshot.ingress:
        sets |= _mesh_sets(snapshot, host, backends)
        chains |= _mesh_chains(snapshot, backends)
    return NftFragment(sets, chains)


def host_ports_fragment(ports: Sequence[HostPort]) -> NftFragment:
    """The fragment of the ports published on this host only."""
    chains: dict[str, Rules] = {}
    elements = []
    for port in ports:
        chain = _port_chain("host", port.protocol, port.published, port.host_ip)
        chains[chain] = _balance(f"meta l4proto {port.protocol} {MINUTE} dnat ip to", [port.address], port.target)
        elements.append(_port_element(port.protocol, port.published, port.host_ip, chain))
    # a container may connect to itself by the host's address
    hairpins = frozenset(f"{p.address} . {p.address}" for p in ports)
    return NftFragment({**_port_elements(elements), "self": hairpins}, chains)


def _others(snapshot: NetworkSnapshot, host: str) -> set[str]:
    """The other hosts that take part in the network."""
    found = {peer.host for peer in snapshot.peers} | {endpoint.host for endpoint in snapshot.endpoints}
    return found - {host, ""}


def _backends(snapshot: NetworkSnapshot) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for endpoint in snapshot.endpoints:
        if endpoint.ready:
            found.setdefault(endpoint.service_id, []).append(endpoint.address)
    return found


def _hairpins(snapshot: NetworkSnapshot, host: str) -> Iterator[str]:
    """Connections that must get this host's bridge as source, or their replies would not come back through this host.

    A container that a VIP sends to itself; and, in the mesh, a host that reaches a container of its own through us.
    """
    for endpoint in snapshot.endpoints:
        if endpoint.host == host:
            yield f"{endpoint.address} . {endpoint.address}"
        elif snapshot.ingress and endpoint.ready and endpoint.host:
            yield f"{endpoint.host} . {endpoint.address}"


def _vip_names(snapshot: NetworkSnapshot, backends: Mapping[str, list[str]]) -> Iterator[tuple[str, ServiceAssignment]]:
    for service in snapshot.services:
        if service.vip and backends.get(service.service_id):
            yield f"vip_{snapshot.network.vni}_{service.vip.replace('.', '_')}", service


def _vip_chains(snapshot: NetworkSnapshot, backends: Mapping[str, list[str]]) -> Iterator[tuple[str, Rules]]:
    for chain, service in _vip_names(snapshot, backends):
        yield chain, _balance(f"{BRIEF} dnat to", backends[service.service_id])


def _mesh_ports(
    snapshot: NetworkSnapshot, backends: Mapping[str, list[str]]
) -> Iterator[tuple[str, PortConfig, list[str]]]:
    for service in snapshot.services:
        for port in service.ports:
            if backends.get(service.service_id) and port.published_port and not port.is_on_host:
                chain = _port_chain("mesh", port.protocol, port.published_port, port.host_ip)
                yield chain, port, backends[service.service_id]


def _mesh_chains(snapshot: NetworkSnapshot, backends: Mapping[str, list[str]]) -> dict[str, Rules]:
    return {
        chain: _balance(f"meta l4proto {port.protocol} {MINUTE} dnat ip to", to, port.target_port)
        for chain, port, to in _mesh_ports(snapshot, backends)
    }


def _mesh_sets(snapshot: NetworkSnapshot, host: str, backends: Mapping[str, list[str]]) -> dict[str, Elements]:
    link = f'"{link_names.bridge(snapshot.network.vni)}"'
    subnet = snapshot.network.subnet
    mesh_peers = [
        (link_names.mac(p.gateway), link_names.mark(p.gateway, subnet)) for p in snapshot.peers if p.host != host
    ]
    return {
        **_port_elements(
            [
                _port_element(port.protocol, port.published_port, port.host_ip, chain)
                for chain, port, _ in _mesh_ports(snapshot, backends)
            ]
        ),
        "doors": frozenset(f"{link} . {mac}" for mac, _ in mesh_peers),
        "doormarks": frozenset(f"{mac} : {mark:#x}" for mac, mark in mesh_peers),
        "doorzones": frozenset(f"{mac} : {link_names.zone(mark)}" for mac, mark in mesh_peers),
    }


def _port_chain(kind: str, protocol: str, number: int, host_ip: str) -> str:
    suffix = f"_{host_ip.replace('.', '_')}" if host_ip else ""
    return f"{kind}_{protocol}_{number}{suffix}"


def _port_element(protocol: str, number: int, host_ip: str, chain: str) -> tuple[str, str]:
    """The map and the element of a published port. A port at 127.0.0.1 is for connections of the host itself only."""
    if host_ip:
        return "addressed", f"{host_ip} . {protocol} . {number} : goto {chain}"
    return "ports", f"{protocol} . {number} : goto {chain}"


def _port_elements(elements: Iterable[tuple[str, str]]) -> dict[str, Elements]:
    found: dict[str, set[str]] = {}
    for name, element in elements:
        found.setdefault(name, set()).add(element)
    return {name: frozenset(group) for name, group in found.items()}


def _balance(words: str, addresses: Sequence[str], port: int = 0) -> Rules:
    """Rules that send new connections to the addresses in turn; `words` end with "dnat to".

    The second rule is for a packet that meets the first one while it is being replaced: the rule is still there, but
    the kernel has emptied its map, and the connection would be refused.
    """
    first = f"{words} {addresses[0]}:{port}" if port else f"{words} {addresses[0]}"
    if len(addresses) == 1:
        return (first,)
    suffix = f" . {port}" if port else ""
    places = ", ".join(f"{index} : {address}{suffix}" for index, address in enumerate(addresses))
    return f"{words} numgen inc mod {len(addresses)} map {{ {places} }}", first
