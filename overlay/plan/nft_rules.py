"""The nftables table of this host's networks, and the difference of two such tables as one transaction. Pure.

The base chains never change; they look everything up in sets and maps, so a packet's cost does not grow with the number
of services. A change of endpoints rewrites one small chain. kernel/nft_table.py loads the text that this module writes;
nft_fragments.py says what each network adds.

The table, in the order in which a packet meets it:
- `raw` accepts VXLAN only from hosts of the cluster; it drops what a container sends from an address that its network
  does not have (port_guard_rules.py is stricter), and anything to 127.0.0.0/8. A packet that another host's mesh sends
  here is tracked in a conntrack zone of that host: a client port used through two hosts is two connections, and the
  later one gets another source port if both lead to one backend;
- `mangle` remembers the host through which a mesh connection came, and marks its replies for the way back there;
- `prerouting`/`output` send VIPs and published ports to ready endpoints (conntrack keeps the existing connections);
- `input`/`forward` keep networks apart; `postrouting` masquerades what leaves, and what would be answered past us.

The sets `doors`, `doormarks` and `doorzones` hold the mesh peers: bridges of other hosts from which mesh traffic comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from overlay.plan import link_names

Elements = frozenset[str]
Rules = tuple[str, ...]
"""The rules of one chain, in order."""


@dataclass(frozen=True, slots=True)
class NftFragment:
    """What one network, or the ports published on this host only, add to the table."""

    sets: Mapping[str, Elements] = field(default_factory=dict)
    """Elements by set; `key : value` where the set is a map."""
    chains: Mapping[str, Rules] = field(default_factory=dict)


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
"""How long a closed TCP connection reserves its addresses and ports; a new one would get another source port meanwhile.

Containers' TCP timestamps never go back (kernel/namespaces.py), so a server in TIME_WAIT accepts their next SYN by any
way: 5 s cover retransmissions. Outside clients have another clock for each host they connect through: 60 s, the length
of TIME_WAIT.
"""

# The data port: VXLAN is accepted from hosts that take part in that very network (the VNI is 12 bytes after the start
# of the UDP header). Tunnels are not tracked: that is cheaper.
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


def merge(fragments: Iterable[NftFragment]) -> NftFragment:
    """The union of many fragments. If two claim the same key of a map the first wins."""
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
    """Commands that replace the whole table in one transaction; `port` is VXLAN's."""
    lines = [f"add table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines += [f"  {declaration}" for declaration in SETS.values()]
    for name, rules in sorted(fragment.chains.items()):
        lines += [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]
    lines.append(BASE.strip("\n") % {"port": port})
    lines.append("}")
    lines += _elements("add", table, fragment.sets)
    return "\n".join(lines) + "\n"


def delta(table: str, old: NftFragment, new: NftFragment) -> str:
    """Commands that turn table `old` into `new` in one transaction; "" when they are equal."""
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


def _elements(verb: str, table: str, sets: Mapping[str, Elements]) -> list[str]:
    """One command per set. A deletion from a map names the keys only."""
    lines = []
    for name in SETS:
        elements = sorted(sets.get(name, ()))
        if verb == "delete":
            elements = [element.partition(" : ")[0] for element in elements]
        if elements:
            lines.append(f"{verb} element ip {table} {name} {{ {', '.join(elements)} }}")
    return lines
