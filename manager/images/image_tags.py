"""What a tag means, where no registry is asked: what a person loaded, tagged or pulled on a manager. Pure.

A host says what its tags mean when it describes itself (node_description.py). Only of managers is that believed: their
names come from people through the API and from registries, while a worker could say that its own program is `nginx`.
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
    """What managers say of a reference."""

    digest: str = ""
    """"" when it is not known, or not the same on all managers that have it."""
    local: bool = False
    """It was loaded, and no registry was its source: there is nobody else to ask. The digest is the image's id."""
    platforms: tuple[tuple[str, str, str], ...] = ()
    """(architecture, os, variant)"""
    why: str = ""


class ManagerNodes:
    """An index of the state: the nodes that are wanted as managers."""

    def __init__(self, state: State) -> None:
        self.ids = {node.id for node in state.nodes.values() if node.spec.role is Role.MANAGER}

    def follow(self, event: Event) -> None:
        """Take in a change."""
        if event.kind is NODE:
            is_one = isinstance(event.new, Node) and event.new.spec.role is Role.MANAGER
            (self.ids.add if is_one else self.ids.discard)(event.id)


def is_manager(state: State, node_id: str) -> bool:
    """Whether what that node says of tags counts."""
    return node_id in state.index(ManagerNodes).ids


def tellers(state: State) -> list[NodeDescription]:
    """What managers say of themselves."""
    return [said for id in state.index(ManagerNodes).ids if (said := state.descriptions.get(id))]


def meaning(managers: Iterable[NodeDescription], reference: Reference) -> TagMeaning:
    """What a reference with a tag means to them."""
    tag = f"{reference.name}:{reference.tag}"
    holders = [said for said in managers if tag in said.tags]
    digests = {said.tags[tag] for said in holders}
    local = bool(holders) and all(said.tags[tag] in said.images for said in holders)  # ids stand there by themselves
    if len(digests) > 1:
        return TagMeaning(local=local, why=f"{reference.familiar} is not the same image on all managers that have it")
    platforms = tuple(sorted({(architecture(said.architecture), said.os, "") for said in holders}))
    return TagMeaning(next(iter(digests), ""), local, platforms)
