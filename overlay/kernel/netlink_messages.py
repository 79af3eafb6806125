"""The rtnetlink and socket-diagnosis messages that Argosy exchanges with the kernel, as typed functions.

pyroute2's message classes encode and decode the bodies; netlink_socket.py adds the headers. No sockets here. Functions
that write return a body, those that read take one. A link's number is its ifindex.
"""

from __future__ import annotations

import sys
from collections.abc import Container
from dataclasses import dataclass
from functools import cache, lru_cache
from socket import AF_BRIDGE, AF_INET, AF_INET6, IPPROTO_TCP, inet_ntop, inet_pton

from overlay.kernel.pyroute2_codec import (
    Attribute,
    TableReader,
    Template,
    body_class,
    decode,
    diag,
    encode,
    fibmsg,
    fields_of,
    ifaddrmsg,
    ifinfmsg,
    ndmsg,
    nest,
    nest_class,
    netlink,
    rtmsg,
    rtnl,
)

# ── kinds and flags of messages ──────────────────────────────────────────────────────────────────────────────────

CREATE: int = netlink.NLM_F_CREATE
CREATE_NEW: int = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
REPLACE: int = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
NEW_LINK: int = rtnl.RTM_NEWLINK
DELETE_LINK: int = rtnl.RTM_DELLINK
GET_LINK: int = rtnl.RTM_GETLINK
NEW_ADDRESS: int = rtnl.RTM_NEWADDR
DELETE_ADDRESS: int = rtnl.RTM_DELADDR
GET_ADDRESS: int = rtnl.RTM_GETADDR
NEW_ROUTE: int = rtnl.RTM_NEWROUTE
DELETE_ROUTE: int = rtnl.RTM_DELROUTE
GET_ROUTE: int = rtnl.RTM_GETROUTE
NEW_NEIGHBOUR: int = rtnl.RTM_NEWNEIGH
DELETE_NEIGHBOUR: int = rtnl.RTM_DELNEIGH
GET_NEIGHBOUR: int = rtnl.RTM_GETNEIGH
NEW_RULE: int = rtnl.RTM_NEWRULE
DELETE_RULE: int = rtnl.RTM_DELRULE
GET_RULE: int = rtnl.RTM_GETRULE
GET_SOCKET: int = diag.SOCK_DIAG_BY_FAMILY

_LINK, _ADDRESS, _ROUTE = body_class(ifinfmsg), body_class(ifaddrmsg), body_class(rtmsg)
_NEIGHBOUR, _RULE = body_class(ndmsg.ndmsg), body_class(fibmsg.fibmsg)
_LINKS, _LINK_FIELDS, _LINK_INFOS = TableReader(_LINK), fields_of(_LINK), TableReader(nest_class(ifinfmsg.ifinfo))
_BRIDGE_PORTS = TableReader(nest_class(ifinfmsg.ifinfo.bridge_slave_data))
_VXLANS = TableReader(nest_class(ifinfmsg.ifinfo.data_map["vxlan"]))
_NEIGHBOURS, _NEIGHBOUR_FIELDS = TableReader(_NEIGHBOUR), fields_of(_NEIGHBOUR)
_ROUTES, _ROUTE_FIELDS = TableReader(_ROUTE), fields_of(_ROUTE)
_SOCKET_REQUEST = body_class(diag.inet_diag_req)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def _ip_text(packed: bytes) -> str:
    return inet_ntop(AF_INET6 if len(packed) > 4 else AF_INET, packed) if packed else ""


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────

_UP = {"flags": 1, "change": 1}
"""IFF_UP"""


@cache
def all_links() -> bytes:
    """Ask for every link."""
    return encode(_LINK)


def link_named(name: str) -> bytes:
    """A link by its name only, for removal."""
    return encode(_LINK, ("IFLA_IFNAME", name))


@lru_cache(maxsize=256)
def link_up(name: str = "", index: int = 0) -> bytes:
    """Set a link up, given its name or its number."""
    return encode(_LINK, *([("IFLA_IFNAME", name)] if name else []), index=index, **_UP)


def link_in_bridge(name: str, bridge: int) -> bytes:
    """Make a link a port of a bridge."""
    return encode(_LINK, ("IFLA_IFNAME", name), ("IFLA_MASTER", bridge))


def bridge_port(name: str, *, hairpin: bool = False, suppresses_arp: bool = False) -> bytes:
    """Set up a bridge port without learning. `hairpin`: packets may leave by the port they came in by;
    `suppresses_arp`: ARP is answered from the bridge's neighbours."""
    settings: list[Attribute] = [("IFLA_BRPORT_MODE", 1)] if hairpin else []
    settings.append(("IFLA_BRPORT_LEARNING", 0))
    if suppresses_arp:
        settings.append(("IFLA_BRPORT_NEIGH_SUPPRESS", 1))
    info = nest(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", nest(*settings)))
    return encode(_LINK, ("IFLA_IFNAME", name), ("IFLA_LINKINFO", info))


def bridge(name: str, mac: str, mtu: int) -> bytes:
    """Make a bridge: up, with netfilter on bridged packets."""
    return encode(
        _LINK,
        ("IFLA_IFNAME", name),
        ("IFLA_ADDRESS", mac),
        ("IFLA_MTU", mtu),
        ("IFLA_LINKINFO", _link_info("bridge", ("IFLA_BR_NF_CALL_IPTABLES", 1))),
        **_UP,
    )


def vxlan(name: str, mtu: int, *, bridge: int, vni: int, local: str, port: int, device: int) -> bytes:
    """Make a VXLAN device: up, without learning. `bridge` and `device` (0: none) are numbers of links."""
    data: list[Attribute] = [
        ("IFLA_VXLAN_ID", vni),
        ("IFLA_VXLAN_LOCAL", local),
        ("IFLA_VXLAN_PORT", port),
        ("IFLA_VXLAN_LEARNING", 0),
    ]
    if device:
        data.append(("IFLA_VXLAN_LINK", device))
    return encode(
        _LINK,
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        ("IFLA_MASTER", bridge),
        ("IFLA_LINKINFO", _link_info("vxlan", *data)),
        **_UP,
    )


def veth_pair(name: str, mtu: int, bridge: int, *, peer: str, peer_mac: str, namespace: int) -> bytes:
    """Make a pair of links: one up in a bridge, its peer in the network namespace of an open file.

    The peer cannot be up from the start: the kernel refuses that (ENOTCONN).
    """
    other = nest(
        ("IFLA_IFNAME", peer), ("IFLA_ADDRESS", peer_mac), ("IFLA_MTU", mtu), ("IFLA_NET_NS_FD", namespace), index=0
    )
    return encode(
        _LINK,
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        ("IFLA_MASTER", bridge),
        ("IFLA_LINKINFO", _link_info("veth", ("VETH_INFO_PEER", other))),
        **_UP,
    )


def _link_info(kind: str, *data: Attribute) -> dict[str, object]:
    return nest(("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", nest(*data)))


class Link:
    """A link as the kernel describes it."""

    __slots__ = ("_attributes", "index", "name")

    def __init__(self, body: bytes) -> None:
        self._attributes = _LINKS.attributes(body)
        self.index: int = _LINK_FIELDS.unpack_from(body)[2]
        self.name = _text(self._attributes["IFLA_IFNAME"])

    @property
    def mac(self) -> str:
        """Its link-layer address."""
        return self._attributes["IFLA_ADDRESS"].hex(":")

    @property
    def mtu(self) -> int:
        """Bytes of the largest packet."""
        return _number(self._attributes["IFLA_MTU"])

    @property
    def bridge(self) -> int:
        """The number of the bridge that it is a port of; 0 for none."""
        return _number(self._attributes.get("IFLA_MASTER", b""))

    @property
    def kind(self) -> str:
        """ "bridge", "vxlan", "veth", …; "" for a device."""
        return _text(self._info("IFLA_INFO_KIND"))

    @property
    def learns(self) -> bool:
        """For a bridge port: whether the bridge learns addresses from it."""
        settings = _BRIDGE_PORTS.attributes(self._info("IFLA_INFO_SLAVE_DATA"))
        return settings.get("IFLA_BRPORT_LEARNING") != bytes(1)

    @property
    def vxlan(self) -> tuple[int, int, str]:
        """For a VXLAN device: VNI, UDP port and source address ("" for any)."""
        data = _VXLANS.attributes(self._info("IFLA_INFO_DATA"))
        return (
            _number(data["IFLA_VXLAN_ID"]),
            int.from_bytes(data["IFLA_VXLAN_PORT"], "big"),
            _ip_text(data.get("IFLA_VXLAN_LOCAL", b"")),
        )

    def _info(self, name: str) -> bytes:
        return _LINK_INFOS.attributes(self._attributes.get("IFLA_LINKINFO", b"")).get(name, b"")


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def all_addresses() -> bytes:
    """Ask for every IPv4 address."""
    return encode(_ADDRESS, family=AF_INET)


def address(link: int, address: str, prefix_length: int) -> bytes:
    """An IPv4 address of a link."""
    return encode(
        _ADDRESS,
        ("IFA_LOCAL", address),
        ("IFA_ADDRESS", address),
        family=AF_INET,
        prefixlen=prefix_length,
        index=link,
    )


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An IPv4 address that a link has."""

    link: int
    address: str
    prefix_length: int


def read_address(body: bytes) -> LinkAddress | None:
    """Decode it; None for another address family."""
    message = decode(_ADDRESS, body)
    if message["family"] != AF_INET:
        return None
    return LinkAddress(message["index"], message.get_attr("IFA_LOCAL") or "", message["prefixlen"])


# ── neighbours and forwarding entries ────────────────────────────────────────────────────────────────────────────


@cache
def all_neighbours() -> bytes:
    """Ask for every IPv4 neighbour."""
    return encode(_NEIGHBOUR, family=AF_INET)


@cache
def all_forwarding_entries() -> bytes:
    """Ask for the forwarding entries of all bridges and VXLAN devices."""
    return encode(_NEIGHBOUR, family=AF_BRIDGE)


_NO_IP, _NO_MAC = ("NDA_DST", "0.0.0.0"), ("NDA_LLADDR", "00:00:00:00:00:00")
_NEIGHBOUR_ENTRY = Template(_NEIGHBOUR, _NO_IP, _NO_MAC)
_HOST_ENTRY = Template(_NEIGHBOUR, _NO_MAC, _NO_IP)
_PORT_ENTRY = Template(_NEIGHBOUR, _NO_MAC)


def neighbour(link: int, address: str, mac: str) -> bytes:
    """A permanent neighbour: the MAC address of an IPv4 address."""
    fields = (AF_INET, link, ndmsg.NUD_PERMANENT, 0, 0)
    return _NEIGHBOUR_ENTRY.fill(fields, _packed_ip(address), _packed_mac(mac))


def host_entry(link: int, mac: str, host: str) -> bytes:
    """A permanent forwarding entry of a VXLAN device: the host that a MAC address is on."""
    fields = (AF_BRIDGE, link, ndmsg.NUD_PERMANENT, ndmsg.NTF_SELF, 0)
    return _HOST_ENTRY.fill(fields, _packed_mac(mac), _packed_ip(host))


def port_entry(link: int, mac: str) -> bytes:
    """A static forwarding entry of a bridge: the port that a MAC address is behind."""
    fields = (AF_BRIDGE, link, ndmsg.NUD_NOARP, ndmsg.NTF_MASTER, 0)
    return _PORT_ENTRY.fill(fields, _packed_mac(mac))


def _packed_ip(address: str) -> bytes:
    return inet_pton(AF_INET, address)


def _packed_mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


@dataclass(frozen=True, slots=True)
class LinkNeighbour:
    """A neighbour or a forwarding entry."""

    link: int
    mac: str
    """"" while it is not resolved."""
    address: str
    """The neighbour's address, or the host that a VXLAN device sends to; "" for none."""
    is_permanent: bool
    is_static: bool
    """Not learned, and not the port's own address (NUD_NOARP)."""
    is_of_device: bool
    """In the table of a VXLAN device (NTF_SELF)."""
    is_of_bridge: bool
    """In the table of a bridge."""


def read_neighbour(body: bytes, links: Container[int]) -> LinkNeighbour | None:
    """Decode an entry of either table; None when it is on none of these links."""
    _, link, state, flags, _ = _NEIGHBOUR_FIELDS.unpack_from(body)
    if link not in links:
        return None
    attributes = _NEIGHBOURS.attributes(body)
    return LinkNeighbour(
        link,
        attributes.get("NDA_LLADDR", b"").hex(":"),
        _ip_text(attributes.get("NDA_DST", b"")),
        bool(state & ndmsg.NUD_PERMANENT),
        bool(state & ndmsg.NUD_NOARP),
        bool(flags & ndmsg.NTF_SELF),
        "NDA_MASTER" in attributes,
    )


# ── routes and rules ─────────────────────────────────────────────────────────────────────────────────────────────

TABLE_MAIN, TABLE_LOCAL = 254, 255
_MOST_OLD_TABLE = 255
"""Larger table numbers fit only into an attribute."""
_STATIC: int = rtnl.rt_proto["static"]
_UNICAST: int = rtnl.rt_type["unicast"]
_LOCAL: int = rtnl.rt_type["local"]
_ONLINK = 4  # RTNH_F_ONLINK


@cache
def all_routes() -> bytes:
    """Ask for every IPv4 route, of all tables."""
    return encode(_ROUTE, family=AF_INET)


def local_route(link: int, base: str, prefix_length: int) -> bytes:
    """A route that makes these IPv4 addresses the host's own, on this link."""
    return encode(
        _ROUTE,
        *([("RTA_DST", base)] if prefix_length else []),
        ("RTA_OIF", link),
        family=AF_INET,
        dst_len=prefix_length,
        table=TABLE_LOCAL,
        proto=_STATIC,
        scope=rtnl.rt_scope["host"],
        type=_LOCAL,
    )


def table_route(link: int, base: str, prefix_length: int, table: int, gateway: str) -> bytes:
    """A route in a separate table, through a gateway on the link (onlink: the link needs no matching address)."""
    return encode(
        _ROUTE,
        ("RTA_TABLE", table),
        ("RTA_GATEWAY", gateway),
        *([("RTA_DST", base)] if prefix_length else []),
        ("RTA_OIF", link),
        family=AF_INET,
        dst_len=prefix_length,
        table=_old_table(table),
        proto=_STATIC,
        type=_UNICAST,
        flags=_ONLINK,
    )


@lru_cache(maxsize=256)
def default_route(gateway: str) -> bytes:
    """The default route through a gateway."""
    return encode(_ROUTE, ("RTA_GATEWAY", gateway), family=AF_INET, table=TABLE_MAIN, proto=_STATIC, type=_UNICAST)


def _old_table(table: int) -> int:
    return table if table <= _MOST_OLD_TABLE else 0


@dataclass(frozen=True, slots=True)
class LinkRoute:
    """An IPv4 route."""

    link: int
    """0 for a route over several links, and for one without a link."""
    base: str
    prefix_length: int
    table: int
    gateway: str
    """"" for none."""
    is_static: bool
    is_unicast: bool


def read_route(body: bytes) -> LinkRoute | None:
    """Decode it; None for another address family."""
    family, length, _, _, table, protocol, _, kind, _ = _ROUTE_FIELDS.unpack_from(body)
    if family != AF_INET:
        return None
    attributes = _ROUTES.attributes(body)
    return LinkRoute(
        _number(attributes.get("RTA_OIF", b"")),
        _ip_text(attributes.get("RTA_DST", bytes(4))),
        length,
        _number(attributes.get("RTA_TABLE", b"")) or table,
        _ip_text(attributes.get("RTA_GATEWAY", b"")),
        protocol == _STATIC,
        kind == _UNICAST,
    )


@cache
def all_rules() -> bytes:
    """Ask for every IPv4 routing rule."""
    return encode(_RULE, family=AF_INET)


def rule(link: str, table: int, priority: int) -> bytes:
    """Packets that came in by the link with the table's number as mark are routed by that table."""
    return encode(
        _RULE,
        ("FRA_IIFNAME", link),
        ("FRA_PRIORITY", priority),
        ("FRA_FWMARK", table),
        ("FRA_FWMASK", 0xFFFFFFFF),
        ("FRA_TABLE", table),
        family=AF_INET,
        table=_old_table(table),
        action=fibmsg.FR_ACT_TO_TBL,
    )


def read_rule(body: bytes) -> tuple[str, int]:
    """The link ("" for any) and the table of a routing rule."""
    message = decode(_RULE, body)
    return message.get_attr("FRA_IIFNAME") or "", message.get_attr("FRA_TABLE") or message["table"]


# ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────────

_UNSENT_STATES = 1 << diag.SS_FIN_WAIT1 | 1 << diag.SS_LAST_ACK | 1 << diag.SS_CLOSING


@cache
def unsent_tcp_sockets() -> tuple[bytes, bytes]:
    """Ask for the TCP sockets, IPv4 and IPv6, that are closed here with data that is not acknowledged yet."""
    ipv4, ipv6 = (
        encode(_SOCKET_REQUEST, sdiag_family=family, sdiag_protocol=IPPROTO_TCP, idiag_states=_UNSENT_STATES)
        for family in (AF_INET, AF_INET6)
    )
    return ipv4, ipv6
