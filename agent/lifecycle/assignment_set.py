"""The assignment set: everything the managers assigned to this host, by kind and id. Pure.

A full message replaces the set, an increment changes it. In both cases the caller gets the actual difference, so that
only what changed causes work.
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
    """What a message changed in the set."""

    put: list[Assignment] = field(default_factory=list)
    removed: list[AssignmentKey] = field(default_factory=list)
    unfit: dict[AssignmentKey, str] = field(default_factory=dict)
    """Assignments that cannot be applied, with the reason. An earlier value stays in the set."""

    @property
    def tags(self) -> set[str]:
        """The kinds of all changed assignments."""
        return {key_of(resource)[0] for resource in self.put} | {tag for tag, _ in self.removed}

    def ids(self, tag: str) -> set[str]:
        """Ids of the new and changed assignments of one kind."""
        return {id for kind, id in map(key_of, self.put) if kind == tag}

    def removed_ids(self, tag: str) -> set[str]:
        """Ids of the removed assignments of one kind."""
        return {id for kind, id in self.removed if kind == tag}


class AssignmentSet:
    """All assignments of this host. Message numbers, sessions and disks are not its concern."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, Assignment]] = {tag: {} for tag in _TAGS}

    def apply(self, message: Assignments) -> AssignmentChange:
        """Apply a message. Returns what it changed. An unknown key in `remove` is ignored."""
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
        """The keys of all assignments."""
        return [(tag, id) for tag, kind in self._kinds.items() for id in kind]

    def all(self) -> list[Assignment]:
        """All assignments, as a full message would contain them."""
        return [resource for kind in self._kinds.values() for resource in kind.values()]

    def tasks(self) -> Iterable[TaskAssignment]:
        """All tasks of this host."""
        return list(cast("dict[str, TaskAssignment]", self._kinds["task"]).values())

    def task(self, id: str) -> TaskAssignment | None:
        """One task; None if it is not assigned to this host."""
        return cast("TaskAssignment | None", self._get(("task", id)))

    def spec(self, id: str) -> SpecAssignment | None:
        """The spec that tasks refer to by `spec_id`; None before it has arrived."""
        return cast("SpecAssignment | None", self._get(("spec", id)))

    def network(self, id: str) -> NetworkAssignment | None:
        """One network of this host; None if this host has no part in it."""
        return cast("NetworkAssignment | None", self._get(("network", id)))

    def peers(self, image: str) -> tuple[str, ...]:
        """Addresses of the hosts that have an image, by its reference."""
        order = cast("ImageAssignment | None", self._get(("image", image)))
        return tuple(order.peers) if order else ()

    def digested(self, image: str) -> str:
        """The image reference; one without a digest gets the digest that managers know for its tag."""
        order = cast("ImageAssignment | None", self._get(("image", image)))
        return f"{image}@{order.digest}" if order and order.digest and "@" not in image else image

    def members(self) -> Mapping[str, MemberAssignment]:
        """Every node of the cluster, by id."""
        return cast("dict[str, MemberAssignment]", self._kinds["member"])

    def files(self, keys: Iterable[AssignmentKey]) -> tuple[SecretAssignment | ConfigAssignment, ...]:
        """The secrets and configs with these keys, as far as they have arrived."""
        found = (self._get(key) for key in keys)
        return tuple(order for order in found if isinstance(order, SecretAssignment | ConfigAssignment))

    def view(self) -> NetworkView:
        """The assignments that concern networks, as copies: later messages do not change them."""
        return NetworkView(
            networks=cast("dict[str, NetworkAssignment]", dict(self._kinds["network"])),
            services=cast("dict[str, ServiceAssignment]", dict(self._kinds["service"])),
            endpoints=cast("dict[str, EndpointAssignment]", dict(self._kinds["endpoint"])),
            peers=cast("dict[str, PeerAssignment]", dict(self._kinds["peer"])),
        )

    def _get(self, key: AssignmentKey) -> Assignment | None:
        tag, id = key
        return self._kinds.get(tag, {}).get(id)
