"""Where a host that needs an image may fetch it: from other hosts that have announced it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from api.assignment import ImageOrder
from api.errors import Invalid
from api.hostaddress import join_host_port
from api.objects import NodeDescription
from api.references import parse
from manager.border import host_address
from manager.store.state import State

MOST_IMAGE_PEERS = 8
"""A host is told of so many givers of an image; which ones differs from host to host, to spread the load."""


def image_names(description: NodeDescription) -> frozenset[str]:
    """What a node can give to others, as specs refer to it."""
    return frozenset(description.images)


def image_order(state: State, reference: str, node_id: str, holders: Iterable[str]) -> ImageOrder | None:
    """Where a host may fetch an image; None when no other host has it."""
    known = state.descriptions
    givers = [other for other in holders if other != node_id and other in known and host_address(known[other].address)]
    if not givers:
        return None
    givers.sort(key=lambda other: (zlib.crc32(f"{node_id} {other}".encode()), other))
    peers = [_peer_address(other, state.descriptions[other]) for other in givers[:MOST_IMAGE_PEERS]]
    return ImageOrder(reference, peers)


def image_keys(reference: str) -> frozenset[str]:
    """The names under which a node may have announced an image: as written, and in full (by digest, if it has one)."""
    try:
        return frozenset({reference, parse(reference).canonical})
    except Invalid:
        return frozenset({reference})


def _peer_address(node_id: str, node: NodeDescription) -> str:
    return f"{node_id}@{join_host_port(node.address, node.host_port)}"
