"""Phase 11, how services meet: networks, links, ports and addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from compose.model.load_state import Work
from compose.read.tree import Node, Path, items_of, text_of

_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")
_PREDEFINED = ("host", "none")


def verify_network(work: Work) -> None:
    """Report what is wrong among services and networks."""
    for name, service in work.tree.at("services").items():
        if not service.is_broken:
            for check in _CHECKS:
                check(work, service, ("services", name))
    _published_once(work)


def undefined(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence for a reference to what is not there."""
    among = f"; there are {', '.join(sorted(known))}" if known else ""
    return f"{kind} {name!r} is not defined{among}"


def absent(work: Work, name: str, services: Collection[str]) -> str:
    """The sentence for a reference to a service that is not there, perhaps for its profile."""
    if profiles := work.inactive.get(name):
        return f"service {name!r} is not active; it is in profile {' or '.join(profiles)}"
    return undefined("service", name, services)


def _networks(work: Work, service: Node, path: Path) -> None:
    known = work.tree.at("networks")
    for name, node in service.at("networks").items():
        if name not in known and name != "default":
            work.report.wrong(node, (*path, "networks"), undefined("network", name, known))
    mode = service.get("network_mode")
    if mode and mode.text:
        where = (*path, "network_mode")
        if service.at("networks"):
            work.report.wrong(mode, where, "cannot stand beside networks; keep one of them")
        if mode.text in _PREDEFINED and items_of(service, "ports"):
            what = "listens on the host's ports itself" if mode.text == "host" else "has no network"
            work.report.wrong(service.entries["ports"], (*path, "ports"), f"cannot be published: the service {what}")


def _addresses(work: Work, service: Node, path: Path) -> None:
    """Fixed addresses: well formed, in the network, for one container."""
    for name, use in service.at("networks").items():
        where = (*path, "networks", name)
        address, mac = use.get("ipv4_address"), use.get("mac_address")
        if address and address.text and _is_alone(work, service, address, (*where, "ipv4_address")):
            _in_network(work, name, address, (*where, "ipv4_address"))
        if mac and mac.text and _is_alone(work, service, mac, (*where, "mac_address")):
            _check_mac(work, mac, (*where, "mac_address"))
    mac = service.get("mac_address")
    if mac and mac.text and _is_alone(work, service, mac, (*path, "mac_address")):
        _check_mac(work, mac, (*path, "mac_address"))
        if len(service.at("networks")) > 1 or text_of(service, "network_mode") in _PREDEFINED:
            sentence = "is of the service's one network, and it does not have just one; say it at a network"
            work.report.wrong(mac, (*path, "mac_address"), sentence)


def _is_alone(work: Work, service: Node, node: Node, path: Path) -> bool:
    """Whether the service has a single task, so that an address can be its own."""
    replicas = text_of(service, "deploy", "replicas") or text_of(service, "scale") or "1"
    mode = text_of(service, "deploy", "mode") or "replicated"
    if mode.startswith("global") or replicas not in ("0", "1"):
        work.report.wrong(node, path, "can be given to one container only, and the service has several")
        return False
    return True


def _in_network(work: Work, name: str, node: Node, path: Path) -> None:
    try:
        address = ipaddress.IPv4Address(node.text)
    except ValueError:
        work.report.wrong(node, path, f"{node.text!r} is not an IPv4 address")
        return
    network = work.tree.get("networks", name)
    if network is None or ((external := network.get("external")) and external.value is True):
        return
    subnets = [text_of(item, "subnet") for item in items_of(network, "ipam", "config")]
    if not any(subnets):
        work.report.wrong(node, path, f"network {name} has no subnet of its own; give it one under ipam.config")
    elif not any(_contains(subnet, address) for subnet in subnets if subnet):
        work.report.wrong(node, path, f"{node.text} is not in network {name}, which is {' and '.join(subnets)}")


def _contains(subnet: str, address: ipaddress.IPv4Address) -> bool:
    try:
        return address in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return True  # what is wrong with the subnet is said there


def _check_mac(work: Work, node: Node, path: Path) -> None:
    if not _MAC.match(node.text):
        work.report.wrong(node, path, f"{node.text!r} is not a MAC address such as 02:42:ac:11:00:03")


def _links(work: Work, service: Node, path: Path) -> None:
    services = work.tree.at("services")
    for number, item in enumerate(items_of(service, "links")):
        name = item.text.partition(":")[0]
        where = (*path, "links", f"[{number}]")
        if item.is_broken:
            continue
        if name not in services:
            work.report.wrong(item, where, absent(work, name, services))
        elif not _meet(service, services[name]):
            work.report.wrong(item, where, f"{name} shares no network with this service")


def _meet(one: Node, other: Node) -> bool:
    if {text_of(one, "network_mode"), text_of(other, "network_mode")} & set(_PREDEFINED):
        return False
    return bool(set(one.at("networks") or ("default",)) & set(other.at("networks") or ("default",)))


def _published_once(work: Work) -> None:
    seen: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, service in work.tree.at("services").items():
        for number, port in enumerate(items_of(service, "ports")):
            key = (text_of(port, "published"), text_of(port, "protocol") or "tcp")
            address = text_of(port, "host_ip")
            if key[0] in ("", "0") or text_of(port, "mode") == "host":
                continue
            taken = [who for who, where in seen.get(key, []) if not (address and where and address != where)]
            if taken:
                sentence = f"port {key[0]}/{key[1]} is published by {taken[0]} already"
                work.report.wrong(port, ("services", name, "ports", f"[{number}]"), sentence)
            seen.setdefault(key, []).append((name, address))


_CHECKS = (_networks, _addresses, _links)
