"""Phase 11, checks of networking: networks, links, ports and addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from compose.model.load_state import LoadState
from compose.read.tree import Path, TreeNode, items_of, text_of

_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")
_PREDEFINED = ("host", "none")


def verify_network(state: LoadState) -> None:
    """Report the problems of networks and of the services on them."""
    for name, service in state.tree.at("services").items():
        if not service.is_broken:
            for check in _CHECKS:
                check(state, service, ("services", name))
    _port_conflicts(state)


def undefined(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence for a reference to an undefined object."""
    among = f"; there are {', '.join(sorted(known))}" if known else ""
    return f"{kind} {name!r} is not defined{among}"


def absent(state: LoadState, name: str, services: Collection[str]) -> str:
    """The sentence for a reference to a service that is undefined or left out because of its profile."""
    if profiles := state.inactive.get(name):
        return f"service {name!r} is not active; it is in profile {' or '.join(profiles)}"
    return undefined("service", name, services)


def _networks(state: LoadState, service: TreeNode, path: Path) -> None:
    known = state.tree.at("networks")
    for name, node in service.at("networks").items():
        if name not in known and name != "default":
            state.report.error(node, (*path, "networks"), undefined("network", name, known))
    mode = service.get("network_mode")
    if mode and mode.text:
        where = (*path, "network_mode")
        if service.at("networks"):
            state.report.error(mode, where, "cannot stand beside networks; keep one of them")
        if mode.text in _PREDEFINED and items_of(service, "ports"):
            what = "listens on the host's ports itself" if mode.text == "host" else "has no network"
            state.report.error(service.entries["ports"], (*path, "ports"), f"cannot be published: the service {what}")


def _addresses(state: LoadState, service: TreeNode, path: Path) -> None:
    """Check fixed addresses: valid, inside the network's subnet, and for a single task."""
    for name, use in service.at("networks").items():
        where = (*path, "networks", name)
        address, mac = use.get("ipv4_address"), use.get("mac_address")
        if address and address.text and _has_single_task(state, service, address, (*where, "ipv4_address")):
            _in_network(state, name, address, (*where, "ipv4_address"))
        if mac and mac.text and _has_single_task(state, service, mac, (*where, "mac_address")):
            _check_mac(state, mac, (*where, "mac_address"))
    mac = service.get("mac_address")
    if mac and mac.text and _has_single_task(state, service, mac, (*path, "mac_address")):
        _check_mac(state, mac, (*path, "mac_address"))
        if len(service.at("networks")) > 1 or text_of(service, "network_mode") in _PREDEFINED:
            sentence = "is of the service's one network, and it does not have just one; say it at a network"
            state.report.error(mac, (*path, "mac_address"), sentence)


def _has_single_task(state: LoadState, service: TreeNode, node: TreeNode, path: Path) -> bool:
    """Whether the service has a single task, as a fixed address requires."""
    replicas = text_of(service, "deploy", "replicas") or text_of(service, "scale") or "1"
    mode = text_of(service, "deploy", "mode") or "replicated"
    if mode.startswith("global") or replicas not in ("0", "1"):
        state.report.error(node, path, "can be given to one container only, and the service has several")
        return False
    return True


def _in_network(state: LoadState, name: str, node: TreeNode, path: Path) -> None:
    try:
        address = ipaddress.IPv4Address(node.text)
    except ValueError:
        state.report.error(node, path, f"{node.text!r} is not an IPv4 address")
        return
    network = state.tree.get("networks", name)
    if network is None or ((external := network.get("external")) and external.value is True):
        return
    subnets = [text_of(item, "subnet") for item in items_of(network, "ipam", "config")]
    if not any(subnets):
        state.report.error(node, path, f"network {name} has no subnet of its own; give it one under ipam.config")
    elif not any(_contains(subnet, address) for subnet in subnets if subnet):
        state.report.error(node, path, f"{node.text} is not in network {name}, which is {' and '.join(subnets)}")


def _contains(subnet: str, address: ipaddress.IPv4Address) -> bool:
    try:
        return address in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return True  # the subnet's own check reports it


def _check_mac(state: LoadState, node: TreeNode, path: Path) -> None:
    if not _MAC.match(node.text):
        state.report.error(node, path, f"{node.text!r} is not a MAC address such as 02:42:ac:11:00:03")


def _links(state: LoadState, service: TreeNode, path: Path) -> None:
    services = state.tree.at("services")
    for number, item in enumerate(items_of(service, "links")):
        name = item.text.partition(":")[0]
        where = (*path, "links", f"[{number}]")
        if item.is_broken:
            continue
        if name not in services:
            state.report.error(item, where, absent(state, name, services))
        elif not _share_network(service, services[name]):
            state.report.error(item, where, f"{name} shares no network with this service")


def _share_network(one: TreeNode, other: TreeNode) -> bool:
    if {text_of(one, "network_mode"), text_of(other, "network_mode")} & set(_PREDEFINED):
        return False
    return bool(set(one.at("networks") or ("default",)) & set(other.at("networks") or ("default",)))


def _port_conflicts(state: LoadState) -> None:
    seen: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, service in state.tree.at("services").items():
        for number, port in enumerate(items_of(service, "ports")):
            key = (text_of(port, "published"), text_of(port, "protocol") or "tcp")
            address = text_of(port, "host_ip")
            if key[0] in ("", "0") or text_of(port, "mode") == "host":
                continue
            taken = [who for who, where in seen.get(key, []) if not (address and where and address != where)]
            if taken:
                sentence = f"port {key[0]}/{key[1]} is published by {taken[0]} already"
                state.report.error(port, ("services", name, "ports", f"[{number}]"), sentence)
            seen.setdefault(key, []).append((name, address))


_CHECKS = (_networks, _addresses, _links)
