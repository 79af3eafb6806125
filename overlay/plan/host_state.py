"""What a host's networks have been brought to, or are to be brought to, layer by layer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from overlay.plan import datagram_routes, dns_zone, nft_rules
from overlay.plan.datagram_routes import Frontends
from overlay.plan.device_plan import Plan, plan
from overlay.plan.dns_zone import Names
from overlay.plan.kernel_objects import HostFacts
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_rules import HostPort, NftFragment


@dataclass(frozen=True, slots=True)
class HostState:
    """Slices, and what was planned for each; by network, but for what all have in common."""

    snapshots: Mapping[str, NetworkSnapshot] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    bridge_ports: Plan = frozenset()
    fragments: Mapping[str, NftFragment] = field(default_factory=dict)
    names: Mapping[str, Names] = field(default_factory=dict)
    own: NftFragment = field(default_factory=NftFragment)
    """The host's own ports'."""
    merged: NftFragment = field(default_factory=NftFragment)
    network_frontends: Mapping[str, Frontends] = field(default_factory=dict)
    frontends: Frontends = field(default_factory=dict)
    """Of all networks, and of the host's own ports."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Networks that nothing can be planned for, and why; they stay as they were."""

    def towards(
        self,
        wanted: Mapping[str, NetworkSnapshot],
        ports: Sequence[HostPort],
        bridge_ports: Plan,
        host: HostFacts,
        refused: Mapping[str, NftFragment] = MappingProxyType({}),
    ) -> HostState:
        """What these snapshots and ports come to; what did not change is taken over from here.

        `refused`: fragments that nftables does not take, by network.
        """
        snapshots: dict[str, NetworkSnapshot] = {}
        broken: dict[str, str] = {}
        made: dict[str, _Made] = {}
        for id, snapshot in wanted.items():
            known = self.snapshots.get(id)
            try:
                made[id] = self._known(id) if known == snapshot else _make(snapshot, host)
                snapshots[id] = snapshot
            except Exception as error:  # entries are checked when they come; this is for what nobody has thought of
                broken[id] = f"{type(error).__name__}: {error}"
                if known is not None:
                    made[id], snapshots[id] = self._known(id), known
        own = nft_rules.host_ports_fragment(ports)
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
        """Whether a network's bridge has another address now."""
        pairs = ((before.snapshots[id], snapshot) for id, snapshot in self.snapshots.items() if id in before.snapshots)
        return any(old.network.gateway != new.network.gateway for old, new in pairs)

    def differing(self, other: HostState) -> list[NetworkSnapshot]:
        """The snapshots that are not the same there."""
        return [snapshot for id, snapshot in self.snapshots.items() if other.snapshots.get(id) != snapshot]


class _Made(NamedTuple):
    """What a snapshot comes to."""

    plan: Plan
    fragment: NftFragment
    names: Names
    frontends: Frontends


def _make(snapshot: NetworkSnapshot, host: HostFacts) -> _Made:
    fragment = nft_rules.network_fragment(snapshot, host.address)
    return _Made(plan(snapshot, host), fragment, dns_zone.index(snapshot), datagram_routes.of_snapshot(snapshot))
