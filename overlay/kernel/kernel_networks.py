"""The kernel objects of Argosy's networks: reads those that exist, applies operations.

Last step of a change: view → snapshots → plan → diff → *kernel*. Blocking; called by one thread at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_messages import Link, LinkAddress, LinkRoute
from overlay.kernel.netlink_socket import ABSENT, PRESENT, Request, RouteSocket
from overlay.plan import link_names
from overlay.plan.kernel_objects import (
    Address,
    ApplyObject,
    Bridge,
    BridgePort,
    Fdb,
    HostFacts,
    KernelObject,
    Neighbour,
    Operation,
    RemoveObject,
    Route,
    RoutingRule,
    Vxlan,
)

RULE_PRIORITY = 5252


class KernelNetworks:
    """Argosy's links, addresses, neighbours, routes and rules in this network namespace."""

    def __init__(self, host: HostFacts, route: RouteSocket | None = None) -> None:
        self._host = host
        self._socket = route or RouteSocket()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> frozenset[KernelObject]:
        """All of Argosy's objects that exist."""
        all_links = links(self._socket)
        ours = {index: link.name for index, link in all_links.items() if link_names.is_ours(link.name)}
        found: set[KernelObject] = set(_devices(all_links))
        ports = {what.link for what in found if isinstance(what, BridgePort)}
        plugged = {index: link.name for index, link in all_links.items() if link.name in ports}
        found.update(_addresses(self._socket, ours))
        found.update(_neighbours(self._socket, {**ours, **plugged}))
        found.update(_routes(self._socket, ours))
        found.update(_rules(self._socket))
        return frozenset(found)

    def apply(self, operations: Sequence[Operation]) -> None:
        """Carry out all operations, in order, in batches. A failure does not stop the rest. Raises NetworkFailure."""
        failure: Exception | None = None
        for (_, _), group in groupby(operations, key=lambda o: (type(o), o.what.order)):
            # links made by the previous group have their numbers only now
            requests: list[Request] = []
            for operation in group:
                try:
                    requests += self._requests(operation)
                except Exception as error:  # a link is missing, or a value cannot be encoded
                    failure = failure or error
            try:
                self._socket.apply(requests)
            except Exception as error:
                failure = failure or error
        if failure:
            raise failure

    def _requests(self, operation: Operation) -> list[Request]:
        match operation:
            case ApplyObject(what):
                return _PUT[type(what)](what, self._host)
            case RemoveObject(what):
                if not isinstance(what, RoutingRule) and not _index_or_none(_link_of(what)):
                    return []
                return _REMOVE[type(what)](what)


def find_host(address: str, vxlan_port: int, route: RouteSocket | None = None) -> HostFacts:
    """The link with the underlay address, and its MTU in bytes; no link and 1500 when no link has the address."""
    route = route or RouteSocket()
    try:
        all_links = links(route)
        for found in _all_addresses(route):
            if found.address == address:
                link = all_links[found.link]
                return HostFacts(address, link.name, min(link.mtu, 65535), vxlan_port)
        return HostFacts(address, "", 1500, vxlan_port)
    finally:
        route.close()


def read_host_prefixes(route: RouteSocket | None = None) -> list[tuple[str, int]]:
    """Addresses and routes of this host, from all tables, as (address, prefix length); without Argosy's own."""
    route = route or RouteSocket()
    try:
        foreign = {index for index, link in links(route).items() if not link_names.is_ours(link.name)}
        found = [(one.address, one.prefix_length) for one in _all_addresses(route) if one.link in foreign]
        for one in _all_routes(route):
            # a route over several links has link 0
            ours = link_names.is_table(one.table) or (one.link and one.link not in foreign)
            if one.is_unicast and one.prefix_length and not ours:
                found.append((one.base, one.prefix_length))
        return found
    finally:
        route.close()


def container_port(link: str, mac: str) -> list[Request]:
    """A bridge port with a container behind it: a static entry for its MAC address, no learning."""
    return [_plain_port(link), *_put_fdb(Fdb(link, mac, ""), None)]


def _plain_port(link: str) -> Request:
    """No learning, hairpin on: a container may be the backend of a VIP that it calls."""
    body = netlink_messages.bridge_port(link, hairpin=True)
    return _port(link, body, fine=ABSENT)


def delete_link(link: str) -> Request:
    """Remove a link; no error when it does not exist."""
    return Request(netlink_messages.DELETE_LINK, 0, netlink_messages.link_named(link), f"remove {link}", ABSENT)


def _port(link: str, body: bytes, fine: frozenset[int] = frozenset()) -> Request:
    return Request(netlink_messages.NEW_LINK, 0, body, f"set up bridge port {link}", fine)


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
    body = netlink_messages.bridge(what.name, what.mac, what.mtu)
    return [Request(netlink_messages.NEW_LINK, netlink_messages.CREATE, body, f"add bridge {what.name}")]


def _put_port(what: BridgePort, host: HostFacts) -> list[Request]:
    body = netlink_messages.link_in_bridge(what.link, _index(what.bridge))
    plug = Request(netlink_messages.NEW_LINK, 0, body, f"plug {what.link} into {what.bridge}", ABSENT)
    return [plug, _plain_port(what.link)]


def _put_vxlan(what: Vxlan, host: HostFacts) -> list[Request]:
    body = netlink_messages.vxlan(
        what.name,
        what.mtu,
        bridge=_index(what.bridge),
        vni=what.vni,
        local=what.local,
        port=what.port,
        device=_index(host.device) if host.device else 0,
    )
    doing = f"add VXLAN device {what.name}"
    return [
        Request(netlink_messages.NEW_LINK, netlink_messages.CREATE_NEW, body, doing),
        _port(what.name, netlink_messages.bridge_port(what.name, suppresses_arp=True)),
    ]


def _address_body(what: Address) -> bytes:
    address, _, length = what.address.partition("/")
    return netlink_messages.address(_index(what.link), address, int(length))


def _put_address(what: Address, host: HostFacts) -> list[Request]:
    doing = f"add address {what.address} to {what.link}"
    return [Request(netlink_messages.NEW_ADDRESS, netlink_messages.REPLACE, _address_body(what), doing, PRESENT)]


def _fdb_body(what: Fdb) -> bytes:
    if what.host:
        return netlink_messages.host_entry(_index(what.link), what.mac, what.host)
    return netlink_messages.port_entry(_index(what.link), what.mac)


def _put_fdb(what: Fdb, host: HostFacts | None) -> list[Request]:
    fine = ABSENT if what.link.startswith(link_names.VETH) else frozenset[int]()
    if fine and not _index_or_none(what.link):
        # the sandbox has just been closed
        return []
    doing = f"place {what.mac} behind {what.link}"
    return [Request(netlink_messages.NEW_NEIGHBOUR, netlink_messages.REPLACE, _fdb_body(what), doing, fine)]


def _neighbour_body(what: Neighbour) -> bytes:
    return netlink_messages.neighbour(_index(what.link), what.address, what.mac)


def _put_neighbour(what: Neighbour, host: HostFacts) -> list[Request]:
    doing = f"add neighbour {what.address} to {what.link}"
    return [Request(netlink_messages.NEW_NEIGHBOUR, netlink_messages.REPLACE, _neighbour_body(what), doing)]


def _route_body(what: Route) -> bytes:
    base, _, length = what.destination.partition("/")
    if what.table:
        return netlink_messages.table_route(_index(what.link), base, int(length), what.table, what.gateway)
    return netlink_messages.local_route(_index(what.link), base, int(length))


def _put_route(what: Route, host: HostFacts) -> list[Request]:
    doing = f"add route {what.destination} to {what.link}"
    return [Request(netlink_messages.NEW_ROUTE, netlink_messages.REPLACE, _route_body(what), doing)]


def _rule_body(what: RoutingRule) -> bytes:
    return netlink_messages.rule(what.link, what.table, RULE_PRIORITY)


def _put_rule(what: RoutingRule, host: HostFacts) -> list[Request]:
    doing = f"add routing rule {what.table:#x}"
    return [Request(netlink_messages.NEW_RULE, netlink_messages.CREATE_NEW, _rule_body(what), doing, PRESENT)]


def _remove(kind: int, body: bytes, doing: str) -> list[Request]:
    return [Request(kind, 0, body, doing, ABSENT)]


# Typed loosely: each function takes an object of its key's type.
_PUT: dict[type, Callable[..., list[Request]]] = {
    Bridge: _put_bridge,
    Vxlan: _put_vxlan,
    BridgePort: _put_port,
    Address: _put_address,
    Fdb: _put_fdb,
    Neighbour: _put_neighbour,
    Route: _put_route,
    RoutingRule: _put_rule,
}

_REMOVE: dict[type, Callable[..., list[Request]]] = {
    Bridge: lambda what: [delete_link(what.name)],
    Vxlan: lambda what: [delete_link(what.name)],
    BridgePort: lambda _: [],
    Address: lambda what: _remove(
        netlink_messages.DELETE_ADDRESS, _address_body(what), f"remove address {what.address}"
    ),
    Fdb: lambda what: _remove(
        netlink_messages.DELETE_NEIGHBOUR, _fdb_body(what), f"remove {what.mac} from {what.link}"
    ),
    Neighbour: lambda what: _remove(
        netlink_messages.DELETE_NEIGHBOUR, _neighbour_body(what), f"remove neighbour {what.address}"
    ),
    Route: lambda what: _remove(netlink_messages.DELETE_ROUTE, _route_body(what), f"remove route {what.destination}"),
    RoutingRule: lambda what: _remove(
        netlink_messages.DELETE_RULE, _rule_body(what), f"remove routing rule {what.table:#x}"
    ),
}

_PORTS = ("av", link_names.VETH)
"""Prefixes of the names of ports of Argosy's bridges."""


def links(route: RouteSocket) -> dict[int, Link]:
    """Every link by its number."""
    found = map(Link, route.dump(netlink_messages.GET_LINK, netlink_messages.all_links()))
    return {link.index: link for link in found}


def _devices(all_links: Mapping[int, Link]) -> Iterable[KernelObject]:
    for link in all_links.values():
        bridge = all_links[link.bridge].name if link.bridge in all_links else ""
        if link.name.startswith(link_names.VETH) and link_names.is_ours(bridge):
            yield BridgePort(link.name, bridge, link.learns)
        if not link_names.is_ours(link.name):
            continue
        if link.kind == "bridge":
            yield Bridge(link.name, link.mac, link.mtu)
        elif link.kind == "vxlan":
            yield Vxlan(link.name, bridge, *link.vxlan, link.mtu)


def _all_addresses(route: RouteSocket) -> Iterable[LinkAddress]:
    bodies = route.dump(netlink_messages.GET_ADDRESS, netlink_messages.all_addresses())
    return filter(None, map(netlink_messages.read_address, bodies))


def _addresses(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for found in _all_addresses(route):
        if link := ours.get(found.link):
            yield Address(link, f"{found.address}/{found.prefix_length}")


def _neighbours(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for body in route.dump(netlink_messages.GET_NEIGHBOUR, netlink_messages.all_neighbours()):
        found = netlink_messages.read_neighbour(body, ours)
        if found and found.mac and found.is_permanent:
            yield Neighbour(ours[found.link], found.address, found.mac)
    for body in route.dump(netlink_messages.GET_NEIGHBOUR, netlink_messages.all_forwarding_entries()):
        found = netlink_messages.read_neighbour(body, ours)
        if not found or not found.mac:
            continue
        link = ours[found.link]
        if found.is_of_device and found.address:
            yield Fdb(link, found.mac, found.address)
        elif found.is_of_bridge and found.is_static and link[:2] in _PORTS:
            yield Fdb(link, found.mac, "")


def _all_routes(route: RouteSocket) -> Iterable[LinkRoute]:
    bodies = route.dump(netlink_messages.GET_ROUTE, netlink_messages.all_routes())
    return filter(None, map(netlink_messages.read_route, bodies))


def _routes(route: RouteSocket, ours: Mapping[int, str]) -> Iterable[KernelObject]:
    for found in _all_routes(route):
        link = ours.get(found.link)
        if not link or not found.is_static:
            continue
        destination = f"{found.base}/{found.prefix_length}"
        if link_names.is_table(found.table):
            yield Route(link, destination, found.table, found.gateway)
        elif found.table == netlink_messages.TABLE_LOCAL:
            yield Route(link, destination, 0)


def _rules(route: RouteSocket) -> Iterable[KernelObject]:
    for body in route.dump(netlink_messages.GET_RULE, netlink_messages.all_rules()):
        link, table = netlink_messages.read_rule(body)
        if link_names.is_table(table):
            yield RoutingRule(link, table)
