"""What a host's networks have been brought to, or are to be brought to, layer by layer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from overlay import doors, rules, zone
from overlay.doors import Doors
from overlay.model import HostFacts
from overlay.plan import Plan, plan
from overlay.rules import HostPort, Part
from overlay.slices import Slice
from overlay.zone import Names

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """Slices, and what was planned for each; by network, but for what all have in common."""

    slices: Mapping[str, Slice] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    plugs: Plan = frozenset()
    parts: Mapping[str, Part] = field(default_factory=dict)
    names: Mapping[str, Names] = field(default_factory=dict)
    merged: Part = field(default_factory=Part)
    entries: Mapping[str, Doors] = field(default_factory=dict)
    doors: Doors = field(default_factory=dict)
    """Of all networks, and of the host's own ports."""

    def towards(self, wanted: Mapping[str, Slice], ports: Sequence[HostPort], plugs: Plan, host: HostFacts) -> Applied:
        """What these slices and ports come to; what did not change is taken over from here."""
        same = {id for id, slice in wanted.items() if self.slices.get(id) == slice}

        def each(old: Mapping[str, T], make: Callable[[Slice], T]) -> dict[str, T]:
            return {id: old[id] if id in same else make(slice) for id, slice in wanted.items()}

        parts = each(self.parts, lambda slice: rules.network_part(slice, host.address))
        merged = rules.merge([rules.host_ports_part(ports), *parts.values()])
        entries = each(self.entries, doors.of_slice)
        return Applied(
            slices=wanted,
            plans=each(self.plans, lambda slice: plan(slice, host)),
            plugs=plugs,
            parts=parts,
            names=each(self.names, zone.index),
            merged=merged,
            entries=entries,
            doors=doors.merge([doors.of_ports(ports), *entries.values()]),
        )

    def moved_since(self, before: Applied) -> bool:
        """Whether a network's bridge has another address now."""
        pairs = ((before.slices[id], slice) for id, slice in self.slices.items() if id in before.slices)
        return any(old.network.gateway != new.network.gateway for old, new in pairs)

    def differing(self, other: Applied) -> list[Slice]:
        """The slices that are not the same there."""
        return [slice for id, slice in self.slices.items() if other.slices.get(id) != slice]
