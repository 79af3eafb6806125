"""The planned state of a host's networks, layer by layer: kernel objects, rules, names and frontends. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from overlay.plan import datagram_routes, dns_zone, nft_fragments, nft_rules
from overlay.plan.datagram_routes import Frontends
from overlay.plan.device_plan import Plan, plan
from overlay.plan.dns_zone import NetworkNames
from overlay.plan.kernel_objects import HostFacts
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_fragments import HostPort
from overlay.plan.nft_rules import NftFragment


@dataclass(frozen=True, slots=True)
class HostState:
    """The snapshots and the plan of each layer: by network id, or for the whole host."""

    snapshots: Mapping[str, NetworkSnapshot] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    bridge_ports: Plan = frozenset()
    fragments: Mapping[str, NftFragment] = field(default_factory=dict)
    names: Mapping[str, NetworkNames] = field(default_factory=dict)
    own: NftFragment = field(default_factory=NftFragment)
    """The fragment of the ports published on this host only."""
    merged: NftFragment = field(default_factory=NftFragment)
    network_frontends: Mapping[str, Frontends] = field(default_factory=dict)
    frontends: Frontends = field(default_factory=dict)
    """Of all networks, and of the ports published on this host only."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Why nothing can be planned for a network, by id; it keeps its former plan."""

    def towards(
        self,
        wanted: Mapping[str, NetworkSnapshot],
        ports: Sequence[HostPort],
        bridge_ports: Plan,
        host: HostFacts,
        refused: Mapping[str, NftFragment] = MappingProxyType({}),
    ) -> HostState:
        """The state planned from these snapshots and ports. Plans of unchanged networks are taken from this state.

        `refused`: fragments that nftables rejects, by network.
        """
        snapshots: dict[str, NetworkSnapshot] = {}
        broken: dict[str, str] = {}
        made: dict[str, _Made] = {}
        for id, snapshot in wanted.items():
            known = self.snapshots.get(id)
            try:
                made[id] = self._known(id) if known == snapshot else _make(snapshot, host)
                snapshots[id] = snapshot
            except Exception as error:  # applicable_entries.py checks assignments; this is for other faults
                broken[id] = f"{type(error).__name__}: {error}"
                if known is not None:
                    made[id], snapshots[id] = self._known(id), known
        own = nft_fragments.host_ports_fragment(ports)
        fragments = {id: one.fragment for id, one in made.items()}
        network_frontends = {id: one.frontends for id, one in made.items()}
        return HostState(
            snapshots=snapshots,
            plans={id: one.plan for id, one in made.items()},
            bridge_ports=bridge_ports,
            fragments=fragments,
            names={id: one.names for id, one in made.items()},
            own=own,
            merged=nft_rules.merge(
                [own, *(fragment for id, fragment in fragments.items() if refused.get(id) != fragment)]
            ),
            network_frontends=network_frontends,
            frontends=datagram_routes.merge([datagram_routes.of_ports(ports), *network_frontends.values()]),
            broken=broken,
        )

    def _known(self, id: str) -> _Made:
        return _Made(self.plans[id], self.fragments[id], self.names[id], self.network_frontends[id])

    def moved_since(self, before: HostState) -> bool:
        """Whether a network's bridge has another address than in `before`."""
        pairs = ((before.snapshots[id], snapshot) for id, snapshot in self.snapshots.items() if id in before.snapshots)
        return any(old.network.gateway != new.network.gateway for old, new in pairs)

    def differing(self, other: HostState) -> list[NetworkSnapshot]:
        """The snapshots that are missing in `other` or differ from it."""
        return [snapshot for id, snapshot in self.snapshots.items() if other.snapshots.get(id) != snapshot]


class _Made(NamedTuple):
    """The plans made from one snapshot."""

    plan: Plan
    fragment: NftFragment
    names: NetworkNames
    frontends: Frontends


def _make(snapshot: NetworkSnapshot, host: HostFacts) -> _Made:
    fragment = nft_fragments.network_fragment(snapshot, host.address)
    return _Made(plan(snapshot, host), fragment, dns_zone.index(snapshot), datagram_routes.of_snapshot(snapshot))
