"""Occupied prefixes: address space that hosts use themselves, as they announce it, and overlaps with networks. Pure.

A network gets no subnet that overlaps a host's prefix. If a host joins or changes later, the overlap is reported: at
the node, at the network, and in the log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from api.network import subnets
from api.objects.kinds import DESCRIPTION, NETWORK_DECISION
from api.objects.observed import NodeDescription
from api.reasons.reason import Code, Reason, reason
from api.reasons.reason_text import text
from api.reasons.remedies import remedy
from manager.store.state import Event, State


@dataclass(frozen=True, slots=True)
class PrefixOverlap:
    """An overlap between a network's subnet and a host's prefix."""

    network_id: str
    subnet: IPv4Network
    node_id: str
    prefix: IPv4Network


class OccupiedPrefixes:
    """Prefixes by host, and the networks' subnets in order. An index of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.prefixes: dict[str, tuple[IPv4Network, ...]] = {}
        """By node: the prefixes that it uses."""
        self._subnets: list[tuple[int, str, IPv4Network]] = []
        """Sorted by last address; subnets of networks never overlap one another."""
        for id, description in state.descriptions.items():
            self.prefixes[id] = prefixes_of(description)
        self._sort()

    def follow(self, event: Event) -> None:
        """Apply a change of the state."""
        if event.kind is DESCRIPTION:
            if isinstance(event.new, NodeDescription):
                self.prefixes[event.id] = prefixes_of(event.new)
            else:
                self.prefixes.pop(event.id, None)
        elif event.kind is NETWORK_DECISION:
            self._sort()

    def overlapping(self, subnet: IPv4Network) -> tuple[str, IPv4Network] | None:
        """A node that uses part of a subnet, and its prefix; None when there is none."""
        for node_id, prefixes in self.prefixes.items():
            if node_id in self._state.nodes:
                for prefix in prefixes:
                    if prefix.overlaps(subnet):
                        return node_id, prefix
        return None

    def of_node(self, node_id: str, prefixes: Iterable[IPv4Network]) -> Iterator[PrefixOverlap]:
        """The overlaps of a node's prefixes with networks."""
        for prefix in prefixes:
            place = bisect_left(self._subnets, (int(prefix.network_address), ""))
            for _, network_id, subnet in self._subnets[place:]:
                if int(subnet.network_address) > int(prefix.broadcast_address):
                    break
                yield PrefixOverlap(network_id, subnet, node_id, prefix)

    def of_network(self, network_id: str) -> Iterator[PrefixOverlap]:
        """The overlaps of a network with the prefixes of nodes."""
        own = next((subnet for _, id, subnet in self._subnets if id == network_id), None)
        for node_id, prefixes in self.prefixes.items() if own else ():
            for prefix in prefixes:
                if own and node_id in self._state.nodes and prefix.overlaps(own):
                    yield PrefixOverlap(network_id, own, node_id, prefix)

    def _sort(self) -> None:
        decided = ((id, IPv4Network(one.subnet)) for id, one in self._state.network_decisions.items())
        self._subnets = sorted((int(subnet.broadcast_address), id, subnet) for id, subnet in decided)


def prefixes_of(description: NodeDescription) -> tuple[IPv4Network, ...]:
    """The prefixes that a host has announced, and its own address; without those contained in others."""
    found = (subnets.parse(text) for text in (*description.prefixes, f"{description.address}/32"))
    known = [network for network in found if network is not None]
    return tuple(one for one in known if not any(one != other and one.subnet_of(other) for other in known))


def in_use(state: State, subnet: IPv4Network) -> str:
    """A host's prefix that overlaps the subnet, for a sentence: "10.3.0.0/16 of host web-1"; "" for none."""
    found = state.index(OccupiedPrefixes).overlapping(subnet)
    return f"{found[1]} of host {_host(state, found[0])}" if found else ""


def node_troubles(state: State, node_id: str, description: NodeDescription) -> list[str]:
    """Sentences about networks that overlap prefixes of this host."""
    overlaps = state.index(OccupiedPrefixes).of_node(node_id, prefixes_of(description))
    return [
        f"its {one.prefix} overlaps {one.subnet} of network {_network(state, one.network_id)}: containers there and"
        " the machines behind that prefix cannot reach each other from this host"
        for one in overlaps
    ]


def overlaps_of(state: State, network_id: str, **facts: str) -> list[Reason]:
    """Reasons, one for each host prefix that overlaps the network. `facts` are added to each."""
    return [
        reason(
            Code.HOST_OVERLAPS_NETWORK,
            prefix=str(one.prefix),
            host=_host(state, one.node_id),
            subnet=str(one.subnet),
            **facts,
        )
        for one in state.index(OccupiedPrefixes).of_network(network_id)
    ]


def network_troubles(state: State, network_id: str) -> list[str]:
    """The same as sentences, with remedies."""
    return [f"{text(one)}; {remedy(one)}" for one in overlaps_of(state, network_id)]


def _host(state: State, node_id: str) -> str:
    description = state.descriptions.get(node_id)
    return description.hostname if description and description.hostname else node_id


def _network(state: State, network_id: str) -> str:
    network = state.networks.get(network_id)
    return network.spec.name if network else network_id
