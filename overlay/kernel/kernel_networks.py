"""The kernel's networks as values: read what there is of ours, apply operations.

Last station of a change (view → slices → plan → diff → *kernel*). Blocking; called in one thread at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_socket import ABSENT, PRESENT, Request, RouteSocket
from overlay.plan import link_names
from overlay.plan.kernel_objects import (
    Address,
    Bridge,
    Fdb,
    HostFacts,
    KernelObject,
    Neighbour,
    Operation,
    Port,
    Put,
    Remove,
    Route,
    Rule,
    Vxlan,
)

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
BR_NF_CALL_IPTABLES = 36
BRPORT_MODE, BRPORT_LEARNING, BRPORT_NEIGH_SUPPRESS = 4, 8, 32
VXLAN_ID, VXLAN_LINK, VXLAN_LOCAL, VXLAN_LEARNING, VXLAN_PORT = 1, 3, 4, 7, 15
IFA_ADDRESS, IFA_LOCAL = 1, 2
NDA_DST, NDA_LLADDR, NDA_MASTER = 1, 2, 9
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_SELF, NTF_MASTER = 0x02, 0x04
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_TABLE = 1, 4, 5, 15
TABLE_LOCAL, PROTOCOL_STATIC = 255, 4
SCOPE_UNIVERSE, SCOPE_HOST = 0, 254
UNICAST, LOCAL, ONLINK = 1, 2, 4
FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK = 3, 6, 10, 15, 16
TO_TABLE = 1
RULE_PRIORITY = 5252
REPLACING = netlink_messages.CREATE | netlink_messages.REPLACE


class Kernel:
    """This network namespace's links, addresses, neighbours, routes and rules, as far as they are ours."""

    def __init__(self, host: HostFacts) -> None:
        self._host = host
        self._socket = RouteSocket()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def read(self) -> frozenset[KernelObject]:
        """All objects of ours that exist."""
        all_links = links(self._socket)
        ours = {index: name for index, (name, _) in all_links.items() if link_names.is_ours(name)}
        found: set[KernelObject] = set(_devices(all_links))
        ports = {what.link for what in found if isinstance(what, Port)}
        plugged = {index: name for index, (name, _) in all_links.items() if name in ports}
        found.update(_addresses(self._socket, ours))
        found.update(_neighbours(self._socket, {**ours, **plugged}))
        found.update(_routes(self._socket, ours))
        found.update(_rules(self._socket))
        return frozenset(found)

    def apply(self, operations: Sequence[Operation]) -> None:
        """Do all, in order, in batches. What fails does not keep the rest from being tried; raises NetworkFailure."""
        failure: Exception | None = None
        for (_, _), group in groupby(operations, key=lambda o: (type(o), o.what.order)):
            # links made by the group before have their numbers only now
            requests: list[Request] = []
            for operation in group:
                try:
                    requests += self._requests(operation)
                except Exception as error:  # what it needs is not there, or it cannot be said in netlink
                    failure = failure or error
            try:
                self._socket.apply(requests)
            except Exception as error:
                failure = failure or error
        if failure:
            raise failure

    def _requests(self, operation: Operation) -> list[Request]:
        match operation:
            case Put(what):
                return _PUT[type(what)](what, self._host)
            case Remove(what):
                if not isinstance(what, Rule) and not _index_or_none(_link_of(what)):
                    return []
                return _REMOVE[type(what)](what)


def find_host(address: str, vxlan_port: int) -> HostFacts:
    """The link with the underlay address, and its MTU (1500 and no link when nothing has the address)."""
    route = RouteSocket()
    try:
        all_links = links(route)
        for body in route.dump(netlink_messages.GETADDR, netlink_messages.address(0, 0)):
            attributes = netlink_messages.attributes(body, 8)
            if netlink_messages.to_ipv4(attributes.get(IFA_LOCAL, b"")) == address:
                name, details = all_links[netlink_messages.index(body)]
                return HostFacts(address, name, min(netlink_messages.to_u32(details[IFLA_MTU]), 65535), vxlan_port)
        return HostFacts(address, "", 1500, vxlan_port)
    finally:
        route.close()


def read_ways() -> list[tuple[str, int]]:
    """Every address of this host and every route it has, of all tables, as (address, prefix length); none of ours."""
    route = RouteSocket()
    try:
        foreign = {index for index, (name, _) in links(route).items() if not link_names.is_ours(name)}
        found = []
        for body in route.dump(netlink_messages.GETADDR, netlink_messages.address(0, 0)):
            if body[0] == netlink_messages.AF_INET and netlink_messages.index(body) in foreign:
                found.append((netlink_messages.to_ipv4(netlink_messages.attributes(body, 8)[IFA_LOCAL]), body[1]))
        for body in route.dump(netlink_messages.GETROUTE, netlink_messages.route(0, 0, 0, 0, 0)):
            attributes = netlink_messages.attributes(body, 12)
            table = netlink_messages.to_u32(attributes.get(RTA_TABLE, bytes(4)))
            # a route over several links names none here
            link = netlink_messages.to_u32(attributes.get(RTA_OIF, bytes(4)))
            ours = table & link_names.TABLE_MASK == link_names.TABLE_TAG or (link and link not in foreign)
            if body[0] == netlink_messages.AF_INET and body[7] == UNICAST and RTA_DST in attributes and not ours:
                found.append((netlink_messages.to_ipv4(attributes[RTA_DST]), body[1]))
        return found
    finally:
        route.close()


def write_sysctls(settings: Mapping[str, str]) -> None:
    """Below /proc/sys/net of the calling thread's network namespace. What the kernel lacks is left out."""
    for path, value in settings.items():
        try:
            with open(f"/proc/sys/net/{path}", "r+b", buffering=0) as file:
                # the kernel takes a write at the beginning only
                file.write(value.encode())
        except FileNotFoundError:
            pass


def read_sysctls(settings: Iterable[str], device: str = "all") -> dict[str, int]:
    """These IPv4 settings of a device, in the calling thread's network namespace. What the kernel lacks is left out."""
    found = {}
    for name in settings:
        try:
            with open(f"/proc/sys/net/ipv4/conf/{device}/{name}", encoding="ascii") as file:
                found[name] = int(file.read())
        except FileNotFoundError:
            continue
    return found


def container_port(link: str, mac: str) -> list[Request]:
    """A bridge port that a container is behind, and nobody else, whatever addresses it claims."""
    return [_plain_port(link), *_put_fdb(Fdb(link, mac, ""), None)]


def _plain_port(link: str) -> Request:
    """Nothing is learned from it, and packets go back where they came from: a container gets itself behind its VIP."""
    return _port(link, netlink_messages.u8(BRPORT_MODE, 1), netlink_messages.u8(BRPORT_LEARNING, 0), fine=ABSENT)


def delete_link(link: str) -> Request:
    """See that a link is gone."""
    return Request(
        netlink_messages.DELLINK,
        0,
        netlink_messages.link() + netlink_messages.text(IFLA_IFNAME, link),
        f"remove {link}",
        ABSENT,
    )


def _port(link: str, *settings: bytes, fine: frozenset[int] = frozenset()) -> Request:
    info = netlink_messages.nested(
        IFLA_LINKINFO,
        netlink_messages.text(INFO_SLAVE_KIND, "bridge"),
        netlink_messages.nested(INFO_SLAVE_DATA, *settings),
    )
    return Request(
        netlink_messages.NEWLINK,
        0,
        netlink_messages.link() + netlink_messages.text(IFLA_IFNAME, link) + info,
        f"set up bridge port {link}",
        fine,
    )


def _index(link: str) -> int:
    return socket.if_nametoindex(link)


def _index_or_none(link: str) -> int | None:
    try:
        return socket.if_nametoindex(link)
    except OSError:
        return None


def _link_of(what: KernelObject) -> str:
    return what.name if isinstance(what, Bridge | Vxlan) else what.link


def _put_bridge(what: Bridge, host: HostFacts) -> list[Request]:
    info = netlink_messages.nested(
        IFLA_LINKINFO,
        netlink_messages.text(INFO_KIND, "bridge"),
        netlink_messages.nested(INFO_DATA, netlink_messages.u8(BR_NF_CALL_IPTABLES, 1)),
    )
    body = netlink_messages.link(0, netlink_messages.IFF_UP, netlink_messages.IFF_UP) + netlink_messages.text(
        IFLA_IFNAME, what.name
    )
    body += (
        netlink_messages.attribute(IFLA_ADDRESS, netlink_messages.ethernet(what.mac))
        + netlink_messages.u32(IFLA_MTU, what.mtu)
        + info
    )
    return [Request(netlink_messages.NEWLINK, netlink_messages.CREATE, body, f"add bridge {what.name}")]


def _put_port(what: Port, host: HostFacts) -> list[Request]:
    body = (
        netlink_messages.link()
        + netlink_messages.text(IFLA_IFNAME, what.link)
        + netlink_messages.u32(IFLA_MASTER, _index(what.bridge))
    )
    plug = Request(netlink_messages.NEWLINK, 0, body, f"plug {what.link} into {what.bridge}", ABSENT)
    return [plug, _plain_port(what.link)]


def _put_vxlan(what: Vxlan, host: HostFacts) -> list[Request]:
    data = [
        netlink_messages.u32(VXLAN_ID, what.vni),
        netlink_messages.attribute(VXLAN_LOCAL, netlink_messages.ipv4(what.local)),
        netlink_messages.u16_network(VXLAN_PORT, what.port),
        netlink_messages.u8(VXLAN_LEARNING, 0),
    ]
    if host.device:
        data.append(netlink_messages.u32(VXLAN_LINK, _index(host.device)))
    body = netlink_messages.link(0, netlink_messages.IFF_UP, netlink_messages.IFF_UP) + netlink_messages.text(
        IFLA_IFNAME, what.name
    )
    body += netlink_messages.u32(IFLA_MTU, what.mtu) + netlink_messages.u32(IFLA_MASTER, _index(what.bridge))
    body += netlink_messages.nested(
        IFLA_LINKINFO, netlink_messages.text(INFO_KIND, "vxlan"), netlink_messages.nested(INFO_DATA, *data)
    )
    port = _port(what.name, netlink_messages.u8(BRPORT_LEARNING, 0), netlink_messages.u8(BRPORT_NEIGH_SUPPRESS, 1))
    return [
        Request(
            netlink_messages.NEWLINK,
            netlink_messages.CREATE | netlink_messages.EXCL,
            body,
            f"add VXLAN device {what.name}",
        ),
        port,
    ]


def _address_body(what: Address) -> bytes:
    address, _, length = what.address.partition("/")
    packed = netlink_messages.ipv4(address)
    body = netlink_messages.address(_index(what.link), int(length))
    return body + netlink_messages.attribute(IFA_LOCAL, packed) + netlink_messages.attribute(IFA_ADDRESS, packed)


def _put_address(what: Address, host: HostFacts) -> list[Request]:
    doing = f"add address {what.address} to {what.link}"
    return [Request(netlink_messages.NEWADDR, REPLACING, _address_body(what), doing, PRESENT)]


def _fdb_body(what: Fdb) -> bytes:
    state, flags = (NUD_PERMANENT, NTF_SELF) if what.host else (NUD_NOARP, NTF_MASTER)
    body = netlink_messages.neighbour(netlink_messages.AF_BRIDGE, _index(what.link), state, flags)
    body += netlink_messages.attribute(NDA_LLADDR, netlink_messages.ethernet(what.mac))
    return body + (netlink_messages.attribute(NDA_DST, netlink_messages.ipv4(what.host)) if what.host else b"")


def _put_fdb(what: Fdb, host: HostFacts | None) -> list[Request]:
    fine = ABSENT if what.link.startswith(link_names.VETH) else frozenset[int]()
    if fine and not _index_or_none(what.link):
        # a sandbox that has just been closed
        return []
    return [
        Request(netlink_messages.NEWNEIGH, REPLACING, _fdb_body(what), f"place {what.mac} behind {what.link}", fine)
    ]


def _neighbour_body(what: Neighbour) -> bytes:
    body = netlink_messages.neighbour(netlink_messages.AF_INET, _index(what.link), NUD_PERMANENT, 0)
    return (
        body
        + netlink_messages.attribute(NDA_DST, netlink_messages.ipv4(what.address))
        + netlink_messages.attribute(NDA_LLADDR, netlink_messages.ethernet(what.mac))
    )


def _put_neighbour(what: Neighbour, host: HostFacts) -> list[Request]:
    return [
        Request(
            netlink_messages.NEWNEIGH, REPLACING, _neighbour_body(what), f"add neighbour {what.address} to {what.link}"
        )
    ]


def _route_body(what: Route) -> bytes:
    base, _, length = what.destination.partition("/")
    if what.table:
        body = netlink_messages.route(int(length), what.table, PROTOCOL_STATIC, SCOPE_UNIVERSE, UNICAST, ONLINK)
        body += netlink_messages.u32(RTA_TABLE, what.table) + netlink_messages.attribute(
            RTA_GATEWAY, netlink_messages.ipv4(what.gateway)
        )
    else:
        body = netlink_messages.route(int(length), TABLE_LOCAL, PROTOCOL_STATIC, SCOPE_HOST, LOCAL)
    if int(length):
        body += netlink_messages.attribute(RTA_DST, netlink_messages.ipv4(base))
    return body + netlink_messages.u32(RTA_OIF, _index(what.link))


def _put_route(what: Route, host: HostFacts) -> list[Request]:
    return [
        Request(netlink_messages.NEWROUTE, REPLACING, _route_body(what), f"add route {what.destination} to {what.link}")
    ]


def _rule_body(what: Rule) -> bytes:
    body = (
        netlink_messages.rule(what.table, TO_TABLE)
        + netlink_messages.text(FRA_IIFNAME, what.link)
        + netlink_messages.u32(FRA_PRIORITY, RULE_PRIORITY)
    )
    return (
        body
        + netlink_messages.u32(FRA_FWMARK, what.table)
        + netlink_messages.u32(FRA_FWMASK, 0xFFFFFFFF)
        + netlink_messages.u32(FRA_TABLE, what.table)
    )


def _put_rule(what: Rule, host: HostFacts) -> list[Request]:
    doing = f"add routing rule {what.table:#x}"
    return [
        Request(
            netlink_messages.NEWRULE, netlink_messages.CREATE | netlink_messages.EXCL, _rule_body(what), doing, PRESENT
        )
    ]


# Typed loosely: each function takes the type that it stands under.
_PUT: dict[type, Callable[..., list[Request]]] = {
    Bridge: _put_bridge,
    Vxlan: _put_vxlan,
    Port: _put_port,
    Address: _put_address,
    Fdb: _put_fdb,
    Neighbour: _put_neighbour,
    Route: _put_route,
    Rule: _put_rule,
}

_REMOVE: dict[type, Callable[..., list[Request]]] = {
    Bridge: lambda what: [delete_link(what.name)],
    Vxlan: lambda what: [delete_link(what.name)],
    Port: lambda _: [],
    Address: lambda what: [
        Request(netlink_messages.DELADDR, 0, _address_body(what), f"remove address {what.address}", ABSENT)
    ],
    Fdb: lambda what: [
        Request(netlink_messages.DELNEIGH, 0, _fdb_body(what), f"remove {what.mac} from {what.link}", ABSENT)
    ],
    Neighbour: lambda what: [
        Request(netlink_messages.DELNEIGH, 0, _neighbour_body(what), f"remove neighbour {what.address}", ABSENT)
    ],
    Route: lambda what: [
        Request(netlink_messages.DELROUTE, 0, _route_body(what), f"remove route {what.destination}", ABSENT)
    ],
    Rule: lambda what: [
        Request(netlink_messages.DELRULE, 0, _rule_body(what), f"remove routing rule {what.table:#x}", ABSENT)
    ],
}

_PORTS = ("av", link_names.VETH)
"""How the names of what is plugged into our bridges begin."""

Links = Mapping[int, tuple[str, Mapping[int, bytes]]]


def links(route: RouteSocket) -> Links:
    """Every link by its number: name and attributes."""
    found = {}
    for body in route.dump(netlink_messages.GETLINK, netlink_messages.link()):
        attributes = netlink_messages.attributes(body, 16)
        found[netlink_messages.index(body)] = (netlink_messages.to_text(attributes[IFLA_IFNAME]), attributes)
    return found


def _devices(all_links: Links) -> Iterable[KernelObject]:
    for name, attributes in all_links.values():
        master = netlink_messages.to_u32(attributes.get(IFLA_MASTER, bytes(4)))
        bridge = all_links[master][0] if master in all_links else ""
        if name.startswith(link_names.VETH) and link_names.is_ours(bridge):
            yield Port(name, bridge, _learns(attributes))
        if not link_names.is_ours(name) or IFLA_LINKINFO not in attributes:
            continue
        info = netlink_messages.attributes(attributes[IFLA_LINKINFO])
        mtu = netlink_messages.to_u32(attributes[IFLA_MTU])
        if netlink_messages.to_text(info.get(INFO_KIND, b"")) == "bridge":
            yield Bridge(name, netlink_messages.to_ethernet(attributes[IFLA_ADDRESS]), mtu)
        elif netlink_messages.to_text(info.get(INFO_KIND, b"")) == "vxlan":
            data = netlink_messages.attributes(info[INFO_DATA])
            port = int.from_bytes(data[VXLAN_PORT], "big")
            local = netlink_messages.to_ipv4(data.get(VXLAN_LOCAL, b""))
            yield Vxlan(name, bridge, netlink_messages.to_u32(data[VXLAN_ID]), port, local, mtu)


def _learns(attributes: Mapping[int, bytes]) -> bool:
    slave = netlink_messages.attributes(
        netlink_messages.attributes(attributes.get(IFLA_LINKINFO, b"")).get(INFO_SLAVE_DATA, b"")
    )
    return slave.get(BRPORT_LEARNING, b"\1") != b"\0"


def _addresses(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for body in route.dump(netlink_messages.GETADDR, netlink_messages.address(0, 0)):
        link = ours.get(netlink_messages.index(body))
        if link and body[0] == netlink_messages.AF_INET:
            yield Address(
                link, f"{netlink_messages.to_ipv4(netlink_messages.attributes(body, 8)[IFA_LOCAL])}/{body[1]}"
            )


def _neighbours(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for family in (netlink_messages.AF_INET, netlink_messages.AF_BRIDGE):
        for body in route.dump(netlink_messages.GETNEIGH, netlink_messages.neighbour(family, 0, 0, 0)):
            link = ours.get(netlink_messages.index(body))
            state, flags = netlink_messages.to_u16(body[8:10]), body[10]
            attributes = netlink_messages.attributes(body, 12)
            if not link or NDA_LLADDR not in attributes:
                continue
            mac = netlink_messages.to_ethernet(attributes[NDA_LLADDR])
            if family == netlink_messages.AF_INET and state & NUD_PERMANENT:
                yield Neighbour(link, netlink_messages.to_ipv4(attributes[NDA_DST]), mac)
            elif family == netlink_messages.AF_BRIDGE and flags & NTF_SELF and NDA_DST in attributes:
                yield Fdb(link, mac, netlink_messages.to_ipv4(attributes[NDA_DST]))
            elif (
                family == netlink_messages.AF_BRIDGE
                and NDA_MASTER in attributes
                and state & NUD_NOARP
                and link[:2] in _PORTS
            ):
                yield Fdb(link, mac, "")


def _routes(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for body in route.dump(netlink_messages.GETROUTE, netlink_messages.route(0, 0, 0, 0, 0)):
        attributes = netlink_messages.attributes(body, 12)
        link = ours.get(netlink_messages.to_u32(attributes.get(RTA_OIF, bytes(4))))
        if not link or body[5] != PROTOCOL_STATIC:
            continue
        table = netlink_messages.to_u32(attributes[RTA_TABLE])
        destination = f"{netlink_messages.to_ipv4(attributes.get(RTA_DST, bytes(4)))}/{body[1]}"
        if table & link_names.TABLE_MASK == link_names.TABLE_TAG:
            yield Route(link, destination, table, netlink_messages.to_ipv4(attributes.get(RTA_GATEWAY, b"")))
        elif table == TABLE_LOCAL:
            yield Route(link, destination, 0)


def _rules(route: RouteSocket) -> Iterable[KernelObject]:
    for body in route.dump(netlink_messages.GETRULE, netlink_messages.rule(0, 0)):
        attributes = netlink_messages.attributes(body, 12)
        table = netlink_messages.to_u32(attributes.get(FRA_TABLE, bytes(4)))
        if table & link_names.TABLE_MASK == link_names.TABLE_TAG:
            yield Rule(netlink_messages.to_text(attributes.get(FRA_IIFNAME, b"")), table)
