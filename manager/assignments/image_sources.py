"""Image sources: the other hosts from which a host may fetch an image, because they have announced it. Pure.

An image is always fetched by digest, and the host that fetches checks the digest: an announcement is trusted for where
an image is, never for what it is. A tag that was not resolved when the service was created is resolved by what managers
announce now.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from api.errors import Invalid
from api.image_reference import image_id, parse
from api.objects.decided import Task
from api.objects.observed import NodeDescription
from api.states import TaskState
from api.wire.assignments import ImageAssignment
from kit.ip import join_host_port
from manager.images.image_tags import is_manager, manager_descriptions, tag_meaning
from manager.security.border import host_address
from manager.store.state import State

MOST_IMAGE_PEERS = 8
"""Sources of an image that one host gets. Hosts get different ones, to spread the load."""


def image_names(description: NodeDescription) -> frozenset[str]:
    """References and ids of the images that a node can give to others."""
    return frozenset(description.images)


def announced_tags(state: State, node_id: str) -> frozenset[tuple[str, str]]:
    """The (tag, digest) pairs that a node announces; empty unless it is a manager."""
    node = state.descriptions.get(node_id)
    return frozenset(node.tags.items()) if node and is_manager(state, node_id) else frozenset()


def digest_now(state: State, reference: str) -> str:
    """The digest of a reference: its own, or the one managers announce for its tag; "" when it is not known."""
    try:
        wanted = parse(reference)
    except Invalid:
        return image_id(reference)
    return wanted.digest or tag_meaning(manager_descriptions(state), wanted).digest


def holder_keys(state: State, reference: str) -> frozenset[str]:
    """The names under which a node may have announced the image."""
    digest = digest_now(state, reference)
    try:
        name = parse(reference).name
    except Invalid:
        return frozenset({digest} if digest else ())
    return frozenset({digest, f"{name}@{digest}"} if digest else ())


def watched_keys(state: State, reference: str) -> frozenset[str]:
    """The announced names, and the tag, whose changes concern a host that needs the image."""
    try:
        return holder_keys(state, reference) | {str(parse(reference))}
    except Invalid:
        return holder_keys(state, reference)


def image_assignment(state: State, reference: str, node_id: str, holders: Iterable[str]) -> ImageAssignment | None:
    """The assignment that says where a host may fetch an image; None when no other host has it."""
    known = state.descriptions
    givers = [other for other in holders if other != node_id and other in known and host_address(known[other].address)]
    if not givers:
        return None
    givers.sort(key=lambda other: (zlib.crc32(f"{node_id} {other}".encode()), other))
    chosen, rest = givers[:MOST_IMAGE_PEERS], givers[MOST_IMAGE_PEERS:]
    if not any(is_manager(state, other) for other in chosen):  # workers' announcements may be false, all eight of them
        chosen[-1:] = [other for other in rest if is_manager(state, other)][:1] or chosen[-1:]
    peers = [_peer_address(other, state.descriptions[other]) for other in chosen]
    return ImageAssignment(reference, peers, "" if "@" in reference else digest_now(state, reference))


def may_fetch(state: State, node_id: str, reference: str) -> str:
    """Why a node may not fetch the image of that digest from another; "" when one of its tasks needs it now."""
    wanted = _digest(reference)
    if not wanted:
        return f"{reference} is no digest"
    if node_id not in state.nodes:
        return f"node {node_id} is not part of this cluster"
    for task in state.tasks_on(node_id).values():
        spec = state.task_spec(task) if needs_image(state, task) else None
        if spec and digest_now(state, spec.container_spec.image) == wanted:
            return ""
    return f"node {node_id} has no task that needs it"


def needs_image(state: State, task: Task) -> bool:
    """Whether the task still needs its image to be fetched."""
    return (
        task.state is TaskState.ASSIGNED
        and task.desired <= TaskState.COMPLETE
        and state.task_state(task) < TaskState.STARTING
    )


def _digest(reference: str) -> str:
    try:
        return parse(reference).digest
    except Invalid:
        return image_id(reference)


def _peer_address(node_id: str, node: NodeDescription) -> str:
    return f"{node_id}@{join_host_port(node.address, node.host_port)}"
