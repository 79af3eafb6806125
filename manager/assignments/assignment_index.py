"""Assignment index: the assignments of every host with a session on this manager, updated by what changed.

Services, endpoints and peers are stored once per network, not once per host; a host has its own part and the ids of its
networks. A change affects only the hosts that take part in its network (found by an inverted index). What a host has
not been sent yet is in its `pending`, newest value per assignment, so that it never grows larger than the whole set.

Invariant: all differences applied in turn give `assignment_set` (manager/assignments/assignment_sources.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from api.network.network_spec import INGRESS
from api.states import NodeState
from api.wire.assignments import (
    Assignment,
    AssignmentKey,
    EndpointAssignment,
    ImageAssignment,
    MemberAssignment,
    key_of,
)
from manager.assignments.assignment_sources import (
    OwnAssignments,
    Shared,
    TaskAssignmentCache,
    endpoint_assignments,
    is_own_peer,
    member_assignment,
    own_assignments,
    peer_assignments,
    service_assignments,
)  # fmt: skip
from manager.assignments.image_sources import announced_tags, holder_keys, image_assignment, image_names, watched_keys
from manager.hosts.suspicion import Suspicion, suspicion
from manager.images.image_tags import is_manager
from manager.store.state import Dirty, State

SLICE = 500
"""Assignments handled before yielding to the event loop; a few milliseconds."""

ServiceInputs = tuple[bool, frozenset[int], bytes]
"""What hosts' own assignments use of a service: whether it exists, its revisions, its registry login."""
_NO_SERVICE: ServiceInputs = (False, frozenset(), b"")
Source = tuple[str, str]
"""An object that contributes assignments to networks: ("service" | "task" | "node", id)."""


@dataclass(slots=True)
class HostAssignments:
    """The assignments of one host, and those that are still to be sent to it."""

    own: OwnAssignments = field(default_factory=OwnAssignments)
    images: dict[str, ImageAssignment] = field(default_factory=dict)
    """By image reference: where the host may fetch the image."""
    watched: dict[str, frozenset[str]] = field(default_factory=dict)
    """By image reference: the names and tags whose changes concern the host."""
    pending: dict[AssignmentKey, Assignment | None] = field(default_factory=dict)
    """What is still to be sent; None means that the assignment is to be removed."""
    cache: TaskAssignmentCache = field(default_factory=dict)
    """Its task assignments, so that a change of one task does not build those of all tasks again."""

    def put(self, resource: Assignment) -> None:
        """Add an assignment to what is to be sent."""
        self.pending[key_of(resource)] = resource

    def take(self) -> tuple[list[Assignment], list[AssignmentKey]]:
        """Returns the assignments to put and the keys to remove; nothing is pending afterwards."""
        pending, self.pending = self.pending, {}
        return [r for r in pending.values() if r is not None], [key for key, r in pending.items() if r is None]


class AssignmentIndex:
    """One set of assignments per host, updated with the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._contributed: dict[Source, dict[AssignmentKey, Shared]] = {}
        self._on: dict[str, dict[AssignmentKey, Shared]] = defaultdict(dict)
        self._hosts: dict[str, HostAssignments] = {}
        self._members: dict[str, set[str]] = defaultdict(set)
        self._cluster: dict[str, MemberAssignment] = {}
        """The assignments of all nodes, which every host gets."""
        self._withheld: set[str] = set()
        self._leaving: set[str] = set()
        self.covers = 0
        """The revision of the state up to which the pending and taken assignments are complete; set by `update`'s
        caller."""
        self.moving = False
        """Whether an update is under way, so that `pending` may contain only one half of a change."""
        self._holders: dict[str, set[str]] = defaultdict(set)
        self._needing: dict[str, set[str]] = defaultdict(set)
        self._node_inputs: dict[str, tuple[str, int, bool, Suspicion, bool]] = {}
        self._service_inputs: dict[str, ServiceInputs] = {}
        self._handled = 0
        self._doubted: frozenset[str] = frozenset()
        self._images_of: dict[str, frozenset[str]] = {}
        self._tags_of: dict[str, frozenset[tuple[str, str]]] = {}

    # ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, node_id: str) -> HostAssignments:
        """Start to follow a host; its whole set is pending."""
        self.remove(node_id)
        host = self._hosts[node_id] = HostAssignments()
        host.pending.update({key_of(assignment): assignment for assignment in self._cluster.values()})
        self._refresh(node_id)
        return host

    def remove(self, node_id: str) -> None:
        """Stop following a host."""
        if (host := self._hosts.pop(node_id, None)) is None:
            return
        for network in host.own.networks:
            _discard(self._members, network, node_id)
        self._unwatch(node_id, host)
        self._withheld.discard(node_id)
        self._leaving.discard(node_id)

    # ── following the state ──────────────────────────────────────────────────────────────────────────────────────

    def doubt(self, node_ids: frozenset[str]) -> frozenset[str]:
        """Treat the endpoints of these nodes as not ready from the next update on, whatever the state says.

        Returns the nodes for which this changes something.
        """
        concerned, self._doubted = self._doubted ^ node_ids, node_ids
        return concerned

    def update(self, dirty: Dirty) -> Iterator[None]:
        """Apply what is dirty. Yields now and then, so that the caller can let others run.

        At a yield a set may be a mixture of old and new; hosts tolerate that, because they act on the set as it is.
        """
        self.moving = True
        yield from self._update(dirty)
        self.moving = False

    def _update(self, dirty: Dirty) -> Iterator[None]:
        # whether a task has drained depends on every host
        hosts = self._leaving | {id for id in dirty.nodes if id in self._hosts}
        for network in dirty.networks:
            hosts |= self._members.get(network, set())
        if dirty.networks:
            hosts |= self._withheld
            hosts |= self._hosts.keys() - self._members.get(INGRESS, set())
        for service_id in dirty.services:
            hosts |= self._update_service(service_id)
            yield from self._pause()
        for task_id in dirty.tasks:
            self._replace(("task", task_id), self._endpoints(task_id))
            yield from self._pause()
        for node_id in dirty.nodes:
            hosts |= self._update_node(node_id)
            yield from self._pause()
        for node_id in hosts:
            self._refresh(node_id)
            yield from self._pause()

    def _pause(self) -> Iterator[None]:
        """Yield if enough was handled since the last time."""
        if self._handled >= SLICE:
            self._handled = 0
            yield

    def _update_service(self, service_id: str) -> set[str]:
        """Returns the hosts whose own assignments change: those with tasks of the service, if its inputs changed."""
        self._replace(("service", service_id), service_assignments(self._state, service_id))
        revisions = frozenset(self._state.revisions_of(service_id))
        service = self._state.services.get(service_id)
        inputs = (service is not None, revisions, service.registry_login if service else b"")
        if inputs == self._service_inputs.get(service_id, _NO_SERVICE):
            return set()
        self._service_inputs[service_id] = inputs
        if inputs == _NO_SERVICE:
            del self._service_inputs[service_id]
        tasks = self._state.tasks_of(service_id)
        for task_id in tasks:
            self._replace(("task", task_id), self._endpoints(task_id))
        return {task.node_id for task in tasks.values() if task.node_id in self._hosts}

    def _update_node(self, node_id: str) -> set[str]:
        """Returns the hosts that need an image which the node began or ceased to offer."""
        state = self._state
        self._update_member(node_id)
        self._replace(("node", node_id), peer_assignments(state, node_id))
        node = state.descriptions.get(node_id)
        inputs = (
            node.address if node else "",
            node.host_port if node else 0,
            state.node_state(node_id) is NodeState.DOWN or node_id in self._doubted,
            suspicion(state, node_id),
            is_manager(state, node_id),
        )
        old, self._node_inputs[node_id] = self._node_inputs.get(node_id), inputs
        if old != inputs:
            for task_id in state.tasks_on(node_id):
                self._replace(("task", task_id), self._endpoints(task_id))
        names, had = image_names(node) if node else frozenset(), self._images_of.get(node_id, frozenset())
        for name in names - had:
            self._holders[name].add(node_id)
        for name in had - names:
            _discard(self._holders, name, node_id)
        self._images_of[node_id] = names
        if node is None and not state.tasks_on(node_id):
            del self._node_inputs[node_id], self._images_of[node_id]
        tags, tags_before = announced_tags(state, node_id), self._tags_of.pop(node_id, frozenset())
        if tags:
            self._tags_of[node_id] = tags
        changed = (names | had if old != inputs else names ^ had) | {tag for tag, _meaning in tags ^ tags_before}
        return {host for name in changed for host in self._needing.get(name, ())}

    def _endpoints(self, task_id: str) -> Iterator[EndpointAssignment]:
        for endpoint in endpoint_assignments(self._state, task_id):
            doubted = endpoint.ready and endpoint.node_id in self._doubted
            yield replace(endpoint, ready=False) if doubted else endpoint

    def _update_member(self, node_id: str) -> None:
        old, new = self._cluster.get(node_id), member_assignment(self._state, node_id)
        if new == old:
            return
        if new is not None:
            self._cluster[node_id] = new
        else:
            del self._cluster[node_id]
        self._handled += len(self._hosts)
        for host in self._hosts.values():
            host.pending["member", node_id] = new

    def _replace(self, source: Source, assignments: Iterable[Shared]) -> None:
        """Replace what a source contributes, and send the difference to the hosts on the networks concerned."""
        self._handled += 1
        new = {key_of(assignment): assignment for assignment in assignments}
        old = self._contributed.get(source, {})
        if new:
            self._contributed[source] = new
        else:
            self._contributed.pop(source, None)
        for key, assignment in new.items():
            if old.get(key) != assignment:
                self._on[assignment.network_id][key] = assignment
                self._send(assignment, assignment)
        for key, assignment in old.items():
            if key not in new:
                self._on[assignment.network_id].pop(key, None)
                if not self._on[assignment.network_id]:
                    del self._on[assignment.network_id]
                self._send(assignment, None)

    def _send(self, assignment: Shared, value: Assignment | None) -> None:
        key = key_of(assignment)
        for node_id in self._members.get(assignment.network_id, ()):
            if not is_own_peer(assignment, node_id):
                self._hosts[node_id].pending[key] = value

    # ── a host's own part ────────────────────────────────────────────────────────────────────────────────────────

    def _refresh(self, node_id: str) -> None:
        host = self._hosts.get(node_id)
        if host is None:
            return
        old, new = host.own, own_assignments(self._state, node_id, host.cache)
        host.own = new
        self._handled += 1 + len(new.resources)
        if len(host.cache) > 2 * len(new.resources) + 64:
            host.cache = {id: made for id, made in host.cache.items() if ("task", id) in new.resources}
        for key, resource in new.resources.items():
            before = old.resources.get(key)
            if before is not resource and before != resource:
                host.pending[key] = resource
        for key in old.resources.keys() - new.resources.keys():
            host.pending[key] = None
        for network in old.networks - new.networks:
            self._leave(network, node_id, host)
        for network in new.networks - old.networks:
            self._enter(network, node_id, host)
        self._refresh_images(node_id, host)
        (self._withheld.add if new.withheld else self._withheld.discard)(node_id)
        (self._leaving.add if new.leaving else self._leaving.discard)(node_id)

    def _enter(self, network: str, node_id: str, host: HostAssignments) -> None:
        self._members[network].add(node_id)
        host.pending.update(self._on.get(network, {}))
        host.pending.pop(("peer", f"{node_id}.{network}"), None)

    def _leave(self, network: str, node_id: str, host: HostAssignments) -> None:
        _discard(self._members, network, node_id)
        host.pending.update(dict.fromkeys(self._on.get(network, {})))
        host.pending.pop(("peer", f"{node_id}.{network}"), None)

    def _refresh_images(self, node_id: str, host: HostAssignments) -> None:
        self._unwatch(node_id, host)
        assignments: dict[str, ImageAssignment] = {}
        for reference in host.own.images:
            watched = host.watched[reference] = watched_keys(self._state, reference)
            for name in watched:
                self._needing[name].add(node_id)
            keys = holder_keys(self._state, reference)
            holders = {holder for name in keys for holder in self._holders.get(name, ())}
            if assignment := image_assignment(self._state, reference, node_id, holders):
                assignments[reference] = assignment
                if host.images.get(reference) != assignment:
                    host.put(assignment)
        for reference in host.images.keys() - assignments.keys():
            host.pending[key_of(host.images[reference])] = None
        host.images = assignments

    def _unwatch(self, node_id: str, host: HostAssignments) -> None:
        for watched in host.watched.values():
            for name in watched:
                _discard(self._needing, name, node_id)
        host.watched = {}


def _discard(index: dict[str, set[str]], outer: str, inner: str) -> None:
    if (row := index.get(outer)) is not None:
        row.discard(inner)
        if not row:
            del index[outer]
