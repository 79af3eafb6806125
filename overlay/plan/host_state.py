"""What a host's networks have been brought to, or are to be brought to, layer by layer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from overlay.plan import datagram_routes, dns_zone, nft_rules
from overlay.plan.datagram_routes import Doors
from overlay.plan.device_plan import Plan, plan
from overlay.plan.dns_zone import Names
from overlay.plan.kernel_objects import HostFacts
from overlay.plan.network_snapshot import Slice
from overlay.plan.nft_rules import HostPort, Part


@dataclass(frozen=True, slots=True)
class Applied:
    """Slices, and what was planned for each; by network, but for what all have in common."""

    slices: Mapping[str, Slice] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    plugs: Plan = frozenset()
    parts: Mapping[str, Part] = field(default_factory=dict)
    names: Mapping[str, Names] = field(default_factory=dict)
    own: Part = field(default_factory=Part)
    """The host's own ports'."""
    merged: Part = field(default_factory=Part)
    entries: Mapping[str, Doors] = field(default_factory=dict)
    doors: Doors = field(default_factory=dict)
    """Of all networks, and of the host's own ports."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Networks that nothing can be planned for, and why; they stay as they were."""

    def towards(
        self,
        wanted: Mapping[str, Slice],
        ports: Sequence[HostPort],
        plugs: Plan,
        host: HostFacts,
        refused: Mapping[str, Part] = MappingProxyType({}),
    ) -> Applied:
        """What these slices and ports come to; what did not change is taken over from here.

        `refused`: parts that nftables does not take, by network.
        """
        slices: dict[str, Slice] = {}
        broken: dict[str, str] = {}
        made: dict[str, _Made] = {}
        for id, slice in wanted.items():
            known = self.slices.get(id)
            try:
                made[id] = self._known(id) if known == slice else _make(slice, host)
                slices[id] = slice
            except Exception as error:  # entries are checked when they come; this is for what nobody has thought of
                broken[id] = f"{type(error).__name__}: {error}"
                if known is not None:
                    made[id], slices[id] = self._known(id), known
        own = nft_rules.host_ports_part(ports)
        parts = {id: one.part for id, one in made.items()}
        entries = {id: one.doors for id, one in made.items()}
        return Applied(
            slices=slices,
            plans={id: one.plan for id, one in made.items()},
            plugs=plugs,
            parts=parts,
            names={id: one.names for id, one in made.items()},
            own=own,
            merged=nft_rules.merge([own, *(part for id, part in parts.items() if refused.get(id) != part)]),
            entries=entries,
            doors=datagram_routes.merge([datagram_routes.of_ports(ports), *entries.values()]),
            broken=broken,
        )

    def _known(self, id: str) -> _Made:
        return _Made(self.plans[id], self.parts[id], self.names[id], self.entries[id])

    def moved_since(self, before: Applied) -> bool:
        """Whether a network's bridge has another address now."""
        pairs = ((before.slices[id], slice) for id, slice in self.slices.items() if id in before.slices)
        return any(old.network.gateway != new.network.gateway for old, new in pairs)

    def differing(self, other: Applied) -> list[Slice]:
        """The slices that are not the same there."""
        return [slice for id, slice in self.slices.items() if other.slices.get(id) != slice]


class _Made(NamedTuple):
    """What a slice comes to."""

    plan: Plan
    part: Part
    names: Names
    doors: Doors


def _make(slice: Slice, host: HostFacts) -> _Made:
    part = nft_rules.network_part(slice, host.address)
    return _Made(plan(slice, host), part, dns_zone.index(slice), datagram_routes.of_slice(slice))
