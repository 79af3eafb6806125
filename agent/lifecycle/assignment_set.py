"""The assignment set: what the managers want of this host, by kind and id. Pure.

A full message replaces the set, an increment changes it; either way the caller learns what really differs, so that
work is done for that only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from api.wire.assignments import (
    Assignment,
    AssignmentKey,
    ConfigAssignment,
    EndpointAssignment,
    ImageAssignment,
    MemberAssignment,
    NetworkAssignment,
    PeerAssignment,
    SecretAssignment,
    ServiceAssignment,
    SpecAssignment,
    TaskAssignment,
    key_of,
)
from api.wire.session_messages import Assignments
from overlay.interface import NetworkView
from overlay.plan.applicable_entries import wrong

NETWORK_TAGS = frozenset({"network", "service", "endpoint", "peer"})


_TAGS = ("task", "spec", "network", "service", "endpoint", "peer", "image", "member", "secret", "config")


@dataclass(frozen=True, slots=True)
class AssignmentChange:
    """What a message changed."""

    put: list[Assignment] = field(default_factory=list)
    removed: list[AssignmentKey] = field(default_factory=list)
    unfit: dict[AssignmentKey, str] = field(default_factory=dict)
    """What cannot be applied, and why: left as it was, if it was there before."""

    @property
    def tags(self) -> set[str]:
        """The kinds it touches."""
        return {key_of(resource)[0] for resource in self.put} | {tag for tag, _ in self.removed}

    def ids(self, tag: str) -> set[str]:
        """Ids of one kind that are new or different."""
        return {id for kind, id in map(key_of, self.put) if kind == tag}

    def removed_ids(self, tag: str) -> set[str]:
        """Ids of one kind that are gone."""
        return {id for kind, id in self.removed if kind == tag}


class AssignmentSet:
    """All resources this host was sent. Knows nothing of numbers, sessions or disks."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, Assignment]] = {tag: {} for tag in _TAGS}

    def apply(self, message: Assignments) -> AssignmentChange:
        """Take a message in; returns what it changed. An unknown key in `remove` is no error."""
        unfit = {key_of(resource): why for resource in message.put if (why := wrong(resource))}
        put = [r for r in message.put if self._get(key_of(r)) != r and key_of(r) not in unfit]
        removed = [key for key in message.remove if self._get(key) is not None]
        if message.full:
            kept = {key_of(resource) for resource in message.put}
            removed = [key for key in self.keys() if key not in kept]
        for tag, id in removed:
            del self._kinds[tag][id]
        for resource in put:
            tag, id = key_of(resource)
            self._kinds[tag][id] = resource
        return AssignmentChange(put, removed, unfit)

    def keys(self) -> list[AssignmentKey]:
        """Every resource there is."""
        return [(tag, id) for tag, kind in self._kinds.items() for id in kind]

    def all(self) -> list[Assignment]:
        """Every resource, as a full message would put them."""
        return [resource for kind in self._kinds.values() for resource in kind.values()]

    def tasks(self) -> Iterable[TaskAssignment]:
        """Every task order."""
        return list(cast("dict[str, TaskAssignment]", self._kinds["task"]).values())

    def task(self, id: str) -> TaskAssignment | None:
        """One task order."""
        return cast("TaskAssignment | None", self._get(("task", id)))

    def spec(self, id: str) -> SpecAssignment | None:
        """What a task refers to by `spec_id`; None while it has not come."""
        return cast("SpecAssignment | None", self._get(("spec", id)))

    def network(self, id: str) -> NetworkAssignment | None:
        """One network this host takes part in."""
        return cast("NetworkAssignment | None", self._get(("network", id)))

    def peers(self, image: str) -> tuple[str, ...]:
        """Hosts that can give an image, by its reference."""
        order = cast("ImageAssignment | None", self._get(("image", image)))
        return tuple(order.peers) if order else ()

    def digested(self, image: str) -> str:
        """An image's reference, with the digest that managers know for its tag if it has none."""
        order = cast("ImageAssignment | None", self._get(("image", image)))
        return f"{image}@{order.digest}" if order and order.digest and "@" not in image else image

    def members(self) -> Mapping[str, MemberAssignment]:
        """Every node of the cluster, by id."""
        return cast("dict[str, MemberAssignment]", self._kinds["member"])

    def files(self, keys: Iterable[AssignmentKey]) -> tuple[SecretAssignment | ConfigAssignment, ...]:
        """Those of these secrets and configs that have come."""
        found = (self._get(key) for key in keys)
        return tuple(order for order in found if isinstance(order, SecretAssignment | ConfigAssignment))

    def view(self) -> NetworkView:
        """The networks' part, in maps of its own (later messages do not change them)."""
        return NetworkView(
            networks=cast("dict[str, NetworkAssignment]", dict(self._kinds["network"])),
            services=cast("dict[str, ServiceAssignment]", dict(self._kinds["service"])),
            endpoints=cast("dict[str, EndpointAssignment]", dict(self._kinds["endpoint"])),
            peers=cast("dict[str, PeerAssignment]", dict(self._kinds["peer"])),
        )

    def _get(self, key: AssignmentKey) -> Assignment | None:
        tag, id = key
        return self._kinds.get(tag, {}).get(id)
