"""Pure: where datagrams are let in and where to, and which flows in conntrack no longer follow that.

A UDP flow lives as long as packets come, with the translation that its first packet met: one older than a port stays
untranslated, one of a backend that is no longer ready stays with it. So when a door changes, the flows through it are
held against where it leads now. TCP connections are left to end by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_rules import HostPort

UDP = 17


@dataclass(frozen=True, slots=True)
class Door:
    """A VIP (port 0: all of them), or a published UDP port."""

    address: str
    """"" is every address of the host."""
    port: int = 0


Target = tuple[str, int]
"""Address and port of a backend; port 0 is the one that was asked for."""
Doors = Mapping[Door, frozenset[Target]]


@dataclass(frozen=True, slots=True)
class Flow:
    """A conntrack entry, as far as it matters here."""

    protocol: int
    to: Target
    """Where its first packet went."""
    answers: Target
    """Who answers."""


def of_snapshot(snapshot: NetworkSnapshot) -> Doors:
    """The doors into one network. A VIP without ready endpoints leads nowhere; a port without is no door."""
    found: dict[Door, frozenset[Target]] = {}
    for service in snapshot.services:
        ready = snapshot.ready(service.service_id)
        if service.vip:
            found[Door(service.vip)] = frozenset((address, 0) for address in ready)
        for port in service.ports if snapshot.ingress and ready else ():
            if port.protocol == "udp" and port.published_port and not port.is_on_host:
                door = Door(port.host_ip, port.published_port)
                found.setdefault(door, frozenset((address, port.target_port) for address in ready))
    return found


def of_ports(ports: Sequence[HostPort]) -> Doors:
    """The doors to containers of this host alone."""
    return {
        Door(port.host_ip, port.published): frozenset({(port.address, port.target)})
        for port in ports
        if port.protocol == "udp"
    }


def merge(parts: Iterable[Doors]) -> Doors:
    """All doors. Where two claim a port the first has it, as in the rules."""
    found: dict[Door, frozenset[Target]] = {}
    for part in parts:
        for door, targets in part.items():
            found.setdefault(door, targets)
    return found


def to_check(old: Doors, new: Doors) -> Iterator[Door]:
    """Doors that may have flows which do not follow them: ports that came or went, and what leads to one target less.

    Nothing ever came through a VIP without targets: it is refused, and leaves no flow.
    """
    for door in old.keys() | new.keys():
        before, after = old.get(door, frozenset()), new.get(door, frozenset())
        came = bool(door.port and after and not before)
        if came or not before <= after:
            yield door


def is_stale(doors: Doors, flow: Flow, is_local: Callable[[str], bool]) -> bool:
    """Whether the flow's next packet would be sent elsewhere if it were the first. `is_local`: of this host?"""
    if flow.protocol != UDP:
        return False
    address, port = flow.to
    if (targets := doors.get(Door(address))) is None:
        targets = doors.get(Door(address, port))
        if targets is None and is_local(address):
            targets = doors.get(Door("", port), frozenset({flow.to}))
    if targets is None:
        return False
    return flow.answers not in targets and (flow.answers[0], 0) not in targets
