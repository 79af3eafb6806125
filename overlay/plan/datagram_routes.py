"""The frontends for UDP and the backends behind them, and which conntrack flows no longer follow them. Pure.

A UDP flow lives as long as packets come, with the translation of its first packet: one that is older than a published
port stays untranslated, one to a backend that is no longer ready stays with it. So when a frontend changes, its flows
are compared with its present targets. TCP connections end by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_fragments import HostPort

UDP = 17


@dataclass(frozen=True, slots=True)
class Frontend:
    """A VIP (port 0: all of them), or a published UDP port."""

    address: str
    """"" means every address of the host."""
    port: int = 0


Target = tuple[str, int]
"""Address and port of a backend; port 0 means the port of the request."""
Frontends = Mapping[Frontend, frozenset[Target]]


@dataclass(frozen=True, slots=True)
class Flow:
    """The fields of a conntrack entry that are compared."""

    protocol: int
    to: Target
    """Destination of its first packet."""
    answers: Target
    """The address and port that answer."""


def of_snapshot(snapshot: NetworkSnapshot) -> Frontends:
    """The frontends of one network. A VIP without ready endpoints has no targets; such a port is no frontend."""
    found: dict[Frontend, frozenset[Target]] = {}
    for service in snapshot.services:
        ready = snapshot.ready(service.service_id)
        if service.vip:
            found[Frontend(service.vip)] = frozenset((address, 0) for address in ready)
        for port in service.ports if snapshot.ingress and ready else ():
            if port.protocol == "udp" and port.published_port and not port.is_on_host:
                frontend = Frontend(port.host_ip, port.published_port)
                found.setdefault(frontend, frozenset((address, port.target_port) for address in ready))
    return found


def of_ports(ports: Sequence[HostPort]) -> Frontends:
    """The frontends of ports published on this host only."""
    return {
        Frontend(port.host_ip, port.published): frozenset({(port.address, port.target)})
        for port in ports
        if port.protocol == "udp"
    }


def merge(parts: Iterable[Frontends]) -> Frontends:
    """All frontends. If two claim the same port the first wins, as in nft_rules.merge."""
    found: dict[Frontend, frozenset[Target]] = {}
    for part in parts:
        for frontend, targets in part.items():
            found.setdefault(frontend, targets)
    return found


def to_check(old: Frontends, new: Frontends) -> Iterator[Frontend]:
    """Frontends that may have stale flows: ports that came or went, and frontends that lost a target.

    A VIP that had no targets has no flows: its packets were refused.
    """
    for frontend in old.keys() | new.keys():
        before, after = old.get(frontend, frozenset()), new.get(frontend, frozenset())
        came = bool(frontend.port and after and not before)
        if came or not before <= after:
            yield frontend


def is_stale(frontends: Frontends, flow: Flow, is_local: Callable[[str], bool]) -> bool:
    """Whether the flow's next packet would go to another target if it were the first.

    `is_local`: whether an address is this host's.
    """
    if flow.protocol != UDP:
        return False
    address, port = flow.to
    if (targets := frontends.get(Frontend(address))) is None:
        targets = frontends.get(Frontend(address, port))
        if targets is None and is_local(address):
            targets = frontends.get(Frontend("", port), frozenset({flow.to}))
    if targets is None:
        return False
    return flow.answers not in targets and (flow.answers[0], 0) not in targets
