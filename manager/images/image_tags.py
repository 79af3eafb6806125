"""Image tags: what a tag means by the managers' own images (loaded, tagged or pulled there), without a registry. Pure.

A host announces the meaning of its tags in its description (agent/node_description.py). Only managers are trusted in
this: their tags come from users of the API and from registries, while a worker could announce any program as `nginx`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.image_reference import Reference
from api.objects.kinds import NODE
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.service.placement import architecture
from api.states import Role
from manager.store.state import Event, State


@dataclass(frozen=True, slots=True)
class TagMeaning:
    """The meaning of a reference, as announced by managers."""

    digest: str = ""
    """"" when it is not known, or not the same on all managers that have it."""
    local: bool = False
    """Whether the image was loaded, not pulled, so that no registry has it. Then the digest is the image's id."""
    platforms: tuple[tuple[str, str, str], ...] = ()
    """(architecture, os, variant)"""
    why: str = ""
    """Why the digest is not known; "" without a particular reason."""


class ManagerNodes:
    """The nodes with the wanted role manager. An index of the state."""

    def __init__(self, state: State) -> None:
        self.ids = {node.id for node in state.nodes.values() if node.spec.role is Role.MANAGER}

    def follow(self, event: Event) -> None:
        """Apply a change of the state."""
        if event.kind is NODE:
            is_one = isinstance(event.new, Node) and event.new.spec.role is Role.MANAGER
            (self.ids.add if is_one else self.ids.discard)(event.id)


def is_manager(state: State, node_id: str) -> bool:
    """Whether the node's tags are trusted, because it is a manager."""
    return node_id in state.index(ManagerNodes).ids


def manager_descriptions(state: State) -> list[NodeDescription]:
    """The descriptions of the managers."""
    return [node for id in state.index(ManagerNodes).ids if (node := state.descriptions.get(id))]


def tag_meaning(managers: Iterable[NodeDescription], reference: Reference) -> TagMeaning:
    """The meaning of a reference with a tag, by the images of the managers."""
    tag = f"{reference.name}:{reference.tag}"
    holders = [node for node in managers if tag in node.tags]
    digests = {node.tags[tag] for node in holders}
    local = bool(holders) and all(node.tags[tag] in node.images for node in holders)  # a loaded image is listed by id
    if len(digests) > 1:
        return TagMeaning(local=local, why=f"{reference.familiar} is not the same image on all managers that have it")
    platforms = tuple(sorted({(architecture(node.architecture), node.os, "") for node in holders}))
    return TagMeaning(next(iter(digests), ""), local, platforms)
