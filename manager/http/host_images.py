"""What the cluster's hosts have behind a tag, from the names they announce. Pure.

A host announces its images as a flat set (agent/description.py): "name:tag", "name@<manifest digest>" for what came
from a registry, "<id>" and "name@<id>". What a tag means it says in `tags`; a host that does not (of an older version)
is understood when it has but one image of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.constraints import architecture
from api.objects import NodeDescription
from api.references import Reference
from manager.http.registry import Manifest

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class HostImage:
    """What hosts say of a reference."""

    local: bool = False
    """Hosts have it, and no registry was its source: there is nobody else to ask."""
    manifest: Manifest | None = None
    """Known when it is the same image on all hosts that have it; a local one's digest is its id."""
    why: str = ""


def on_hosts(nodes: Iterable[NodeDescription], reference: Reference) -> HostImage:
    """What the hosts have behind a reference with a tag."""
    holders = [node for node in nodes if f"{reference.name}:{reference.tag}" in node.images]
    if not holders:
        return HostImage()
    said = [_meanings(node, reference) for node in holders]
    local = not any(digests - _ids(node) for digests, node in zip(said, holders, strict=True))
    meanings = [
        digests & _ids(node) if local else digests - _ids(node) for digests, node in zip(said, holders, strict=True)
    ]
    if any(len(ids) != 1 for ids in meanings):
        return HostImage(local, None, f"hosts have several images named {reference.familiar_name}")
    ids = set[str]().union(*meanings)
    if len(ids) > 1:
        return HostImage(local, None, f"{reference.familiar} is not the same image on all hosts that have it")
    platforms = sorted({(architecture(node.architecture), node.os, "") for node in holders})
    return HostImage(local, Manifest(ids.pop(), CONFIG_TYPE, 0, tuple(platforms)))


def _meanings(node: NodeDescription, reference: Reference) -> set[str]:
    """What the tag may mean there."""
    meaning = node.tags.get(f"{reference.name}:{reference.tag}")
    return {meaning} if meaning else _digests(node, reference)


def _digests(node: NodeDescription, reference: Reference) -> set[str]:
    prefix = f"{reference.name}@"
    return {image.removeprefix(prefix) for image in node.images if image.startswith(prefix)}


def _ids(node: NodeDescription) -> set[str]:
    return {image for image in node.images if image.startswith("sha256:")}
