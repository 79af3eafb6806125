"""Pure: networks and local sandboxes → the nftables table, and the difference of two as one transaction.

The base chains never change; they look everything up in sets and maps, so a packet's cost does not grow with the number
of services. A change of endpoints rewrites one small chain. nft.py runs the text this module writes.

The table, in the order a packet meets it:
- `raw` hears VXLAN from hosts of the cluster only; it drops what a container sends under an address its network does
  not have (guard.py is narrower), and anything to 127.0.0.0/8. What comes from another host's door is tracked in that
  door's zone: a client's port used through two doors is two connections, of which the later gets another source port if
  both lead to one backend;
- `mangle` remembers through which host a mesh connection came, and marks its replies for the way back there;
- `prerouting`/`output` send VIPs and published ports to ready endpoints (conntrack keeps the old connections);
- `input`/`forward` keep networks apart; `postrouting` masquerades what leaves, and what would be answered past us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from api.service.ports import PortConfig
from api.wire.assignments import ServiceAssignment
from overlay.plan import link_names
from overlay.plan.network_snapshot import NetworkSnapshot

Elements = frozenset[str]
Rules = tuple[str, ...]
"""Of one chain, in their order."""


@dataclass(frozen=True, slots=True)
class NftFragment:
    """What one network, or the host's own ports, add to the table."""

    sets: Mapping[str, Elements] = field(default_factory=dict)
    """Elements by set; `key : value` where the set is a map."""
    chains: Mapping[str, Rules] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port published on this host only, and where it leads."""

    protocol: Literal["tcp", "udp", "sctp"]
    published: int
    address: str
    target: int
    host_ip: str = ""
    """The host's address it is published at; "" for all of them."""


SETS = {
    "senders": "set senders { typeof ip saddr . @th,96,24; }",
    "hosts": "set hosts { type ipv4_addr; }",
    "bridges": "set bridges { type ifname; }",
    "internal": "set internal { type ifname; }",
    "same": "set same { type ifname . ifname; }",
    "own": "set own { type ifname . ipv4_addr; flags interval; }",
    "subnets": "set subnets { type ipv4_addr; flags interval; }",
    "outbound": "set outbound { type ipv4_addr; flags interval; }",
    "vipranges": "set vipranges { type ipv4_addr; flags interval; }",
    "self": "set self { type ipv4_addr . ipv4_addr; }",
    "doors": "set doors { type ifname . ether_addr; }",
    "doormarks": "map doormarks { type ether_addr : mark; }",
    "doorzones": "map doorzones { typeof ether saddr : ct zone; }",
    "vips": "map vips { type ifname . ipv4_addr : verdict; }",
    "addressed": "map addressed { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "ports": "map ports { type inet_proto . inet_service : verdict; }",
}

BRIEF, MINUTE = ('ct timeout set "brief"', 'ct timeout set "minute"')
"""How long a closed TCP connection keeps its addresses and ports from others, which would get another source port.

Containers' timestamps never go back (namespaces.py), so that a server in TIME_WAIT takes their next SYN by whatever way
it comes: 5 s are for repeated packets. Outside clients have another clock for each door: 60 s, as long as TIME_WAIT.
"""

# The data port: VXLAN comes from a host that is on that very network (its number stands 12 bytes after the beginning of
# the UDP header). Not tracked: tunnels cost less so.
BASE = f"""
  ct timeout brief {{ protocol tcp; l3proto ip; policy = {{ time_wait : 5, close : 5 }}; }}
  ct timeout minute {{ protocol tcp; l3proto ip; policy = {{ time_wait : 60, close : 5 }}; }}
  chain tunnels {{
    iifname @bridges return
    ip saddr . @th,96,24 @senders notrack accept
    fib daddr type local drop
  }}
  chain raw {{ type filter hook prerouting priority raw; policy accept;
    udp dport %(port)d jump tunnels
    iifname != @bridges accept
    ip daddr 127.0.0.0/8 drop
    iifname . ip saddr @own accept
    iifname . ether saddr @doors ct original zone set ether saddr map @doorzones accept
    drop
  }}
  chain rawoutput {{ type filter hook output priority raw; policy accept;
    udp dport %(port)d notrack
    icmp type redirect oifname @bridges drop
  }}
  chain mangle {{ type filter hook prerouting priority mangle; policy accept;
    iifname != @bridges accept
    ct direction reply ct mark & {link_names.TABLE_MASK:#x} == {link_names.TABLE_TAG:#x} meta mark set ct mark accept
    ct state new iifname . ip saddr != @own iifname . ether saddr @doors ct mark set ether saddr map @doormarks
  }}
  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
    iifname . ip daddr vmap @vips
    ip daddr @vipranges accept
    ip daddr != 127.0.0.0/8 fib daddr type local ip daddr . meta l4proto . th dport vmap @addressed
    fib daddr type local meta l4proto . th dport vmap @ports
    iifname . ip saddr @own {BRIEF} accept
    iifname @bridges {MINUTE}
  }}
  chain output {{ type nat hook output priority -100; policy accept;
    ip daddr @vipranges accept
    fib daddr type local ip daddr . meta l4proto . th dport vmap @addressed
    fib daddr type local meta l4proto . th dport vmap @ports
  }}
  chain input {{ type filter hook input priority filter; policy accept;
    iifname "lo" accept
    udp dport %(port)d iifname @bridges drop
    ct state established,related accept
    ip daddr @vipranges meta l4proto tcp reject with tcp reset
    ip daddr @vipranges reject
    iifname . ip daddr @own accept
    iifname @internal reject
    ip daddr @subnets reject
  }}
  chain forward {{ type filter hook forward priority filter; policy accept;
    udp dport %(port)d iifname @bridges oifname != @bridges drop
    udp dport %(port)d ip daddr @hosts ip saddr != @hosts drop
    iifname != @bridges oifname != @bridges accept
    iifname . oifname @same accept
    iifname @internal reject
    oifname @internal drop
    ct state established,related accept
    ct status dnat accept
    iifname @bridges oifname @bridges reject
    oifname @bridges drop
  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept;
    ip saddr . ip daddr @self masquerade
    oifname != @bridges ip saddr @outbound masquerade
    oifname != @bridges accept
    ip saddr 127.0.0.0/8 masquerade
    oifname . ip saddr @own accept
    ip saddr @subnets ct status dnat masquerade
  }}
"""


def network_fragment(snapshot: NetworkSnapshot, host: str) -> NftFragment:
    """What a network adds; `host` is this host's underlay address."""
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
    """What the host's own published ports add."""
    chains: dict[str, Rules] = {}
    elements = []
    for port in ports:
        chain = _port_chain("host", port.protocol, port.published, port.host_ip)
        chains[chain] = _leading(f"meta l4proto {port.protocol} {MINUTE} dnat ip to", [port.address], port.target)
        elements.append(_door(port.protocol, port.published, port.host_ip, chain))
    # a container that calls itself by the host's address
    hairpins = frozenset(f"{p.address} . {p.address}" for p in ports)
    return NftFragment({**_doors(elements), "self": hairpins}, chains)


def merge(fragments: Iterable[NftFragment]) -> NftFragment:
    """One fragment of many. Where two claim the same key of a map the first wins."""
    sets: dict[str, dict[str, str]] = {}
    chains: dict[str, Rules] = {}
    for fragment in fragments:
        chains |= fragment.chains
        for name, elements in fragment.sets.items():
            into = sets.setdefault(name, {})
            for element in sorted(elements):
                into.setdefault(element.partition(" : ")[0], element)
    return NftFragment({name: frozenset(elements.values()) for name, elements in sets.items()}, chains)


def full(table: str, fragment: NftFragment, port: int) -> str:
    """The whole table anew, in one transaction; `port` is VXLAN's."""
    lines = [f"add table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines += [f"  {declaration}" for declaration in SETS.values()]
    for name, rules in sorted(fragment.chains.items()):
        lines += [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]
    lines.append(BASE.strip("\n") % {"port": port})
    lines.append("}")
    lines += _elements("add", table, fragment.sets)
    return "\n".join(lines) + "\n"


def delta(table: str, old: NftFragment, new: NftFragment) -> str:
    """What turns the one into the other, in one transaction; "" when they are equal."""
    gone = {name: old.sets.get(name, Elements()) - new.sets.get(name, Elements()) for name in SETS}
    come = {name: new.sets.get(name, Elements()) - old.sets.get(name, Elements()) for name in SETS}
    lines = []
    for name, rules in sorted(new.chains.items()):
        if name not in old.chains:
            lines.append(f"add chain ip {table} {name}")
        elif old.chains[name] != rules:
            lines.append(f"flush chain ip {table} {name}")
        else:
            continue
        lines += [f"add rule ip {table} {name} {rule}" for rule in rules]
    lines += _elements("delete", table, gone)
    lines += _elements("add", table, come)
    for name in sorted(old.chains.keys() - new.chains.keys()):
        lines += [f"flush chain ip {table} {name}", f"delete chain ip {table} {name}"]
    return "\n".join(lines) + "\n" if lines else ""


def addresses(snapshots: Iterable[NetworkSnapshot]) -> frozenset[str]:
    """Addresses of all endpoints, ready or not, but for those on hosts that are lost: what was held there is over."""
    return frozenset(e.address for snapshot in snapshots for e in snapshot.endpoints if not e.lost)


def backends(snapshots: Iterable[NetworkSnapshot]) -> frozenset[str]:
    """Addresses of all that take connections."""
    return frozenset(e.address for snapshot in snapshots for e in snapshot.endpoints if e.ready)


def _elements(verb: str, table: str, sets: Mapping[str, Elements]) -> list[str]:
    """Deleting from a map names keys only."""
    lines = []
    for name in SETS:
        elements = sorted(sets.get(name, ()))
        if verb == "delete":
            elements = [element.partition(" : ")[0] for element in elements]
        if elements:
            lines.append(f"{verb} element ip {table} {name} {{ {', '.join(elements)} }}")
    return lines


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
    """Connections whose answers would not come back through us unless their source is this host's bridge.

    A container that got itself behind a VIP; and, in the mesh, a host that reaches through us a container of its own.
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
        yield chain, _leading(f"{BRIEF} dnat to", backends[service.service_id])


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
        chain: _leading(f"meta l4proto {port.protocol} {MINUTE} dnat ip to", to, port.target_port)
        for chain, port, to in _mesh_ports(snapshot, backends)
    }


def _mesh_sets(snapshot: NetworkSnapshot, host: str, backends: Mapping[str, list[str]]) -> dict[str, Elements]:
    link = f'"{link_names.bridge(snapshot.network.vni)}"'
    subnet = snapshot.network.subnet
    doors = [(link_names.mac(p.gateway), link_names.mark(p.gateway, subnet)) for p in snapshot.peers if p.host != host]
    return {
        **_doors(
            [
                _door(port.protocol, port.published_port, port.host_ip, chain)
                for chain, port, _ in _mesh_ports(snapshot, backends)
            ]
        ),
        "doors": frozenset(f"{link} . {mac}" for mac, _ in doors),
        "doormarks": frozenset(f"{mac} : {mark:#x}" for mac, mark in doors),
        "doorzones": frozenset(f"{mac} : {link_names.zone(mark)}" for mac, mark in doors),
    }


def _port_chain(kind: str, protocol: str, number: int, host_ip: str) -> str:
    suffix = f"_{host_ip.replace('.', '_')}" if host_ip else ""
    return f"{kind}_{protocol}_{number}{suffix}"


def _door(protocol: str, number: int, host_ip: str, chain: str) -> tuple[str, str]:
    """The map a published port stands in, and how. One at 127.0.0.1 is for what comes from the host itself only."""
    if host_ip:
        return "addressed", f"{host_ip} . {protocol} . {number} : goto {chain}"
    return "ports", f"{protocol} . {number} : goto {chain}"


def _doors(elements: Iterable[tuple[str, str]]) -> dict[str, Elements]:
    found: dict[str, set[str]] = {}
    for name, element in elements:
        found.setdefault(name, set()).add(element)
    return {name: frozenset(group) for name, group in found.items()}


def _leading(words: str, addresses: Sequence[str], port: int = 0) -> Rules:
    """New connections to the addresses in turn; `words` end with "dnat to".

    The second rule is for a packet that meets the first one while it is being replaced: the rule is still there, but
    the kernel has emptied its map. Such a connection would be refused.
    """
    first = f"{words} {addresses[0]}:{port}" if port else f"{words} {addresses[0]}"
    if len(addresses) == 1:
        return (first,)
    suffix = f" . {port}" if port else ""
    places = ", ".join(f"{index} : {address}{suffix}" for index, address in enumerate(addresses))
    return f"{words} numgen inc mod {len(addresses)} map {{ {places} }}", first
