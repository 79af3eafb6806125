"""The assignments of every host with a session here, kept up to date by what changed.

Services, endpoints and peers are kept once per network, not once per host; a host holds its own part and the names of
its networks. A change touches the hosts that take part in its network (an inverted index) and nobody else. What a host
has not been sent yet waits in its `pending`, newest value per resource, so it never grows beyond the set itself.

Applying every difference in turn gives `assignment_set` (manager/assignments/assignment_sources.py): that is the test.
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
from manager.assignments.image_sources import holder_keys, image_assignment, image_names, tags_said, watched_keys
from manager.hosts.suspicion import Suspicion, suspicion
from manager.images.image_tags import is_manager
from manager.store.state import Dirty, State

SLICE = 500
"""Resources looked at between two breaths of the event loop (some milliseconds)."""

ServiceInputs = tuple[bool, frozenset[int], bytes]
"""What of a service its hosts' own parts are made of: whether there is one, its revisions, its registry login."""
_NO_FACE: ServiceInputs = (False, frozenset(), b"")
Source = tuple[str, str]
"""What contributes to networks: ("service" | "task" | "node", id)."""


@dataclass(slots=True)
class HostAssignments:
    """One host: what it has, and what it is still to be sent."""

    own: OwnAssignments = field(default_factory=OwnAssignments)
    images: dict[str, ImageAssignment] = field(default_factory=dict)
    """Where it may fetch what it needs, by reference."""
    watched: dict[str, frozenset[str]] = field(default_factory=dict)
    """By reference: what news of images concerns it."""
    pending: dict[AssignmentKey, Assignment | None] = field(default_factory=dict)
    """None: to be removed."""
    made: TaskAssignmentCache = field(default_factory=dict)
    """Its task orders, kept so that news of one task does not make those of all."""

    def put(self, resource: Assignment) -> None:
        """To be sent."""
        self.pending[key_of(resource)] = resource

    def take(self) -> tuple[list[Assignment], list[AssignmentKey]]:
        """What is to be put and to be removed, leaving nothing pending."""
        pending, self.pending = self.pending, {}
        return [r for r in pending.values() if r is not None], [key for key, r in pending.items() if r is None]


class AssignmentIndex:
    """Sets of resources, one per host, that follow the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._made: dict[Source, dict[AssignmentKey, Shared]] = {}
        self._on: dict[str, dict[AssignmentKey, Shared]] = defaultdict(dict)
        self._hosts: dict[str, HostAssignments] = {}
        self._members: dict[str, set[str]] = defaultdict(set)
        self._cluster: dict[str, MemberAssignment] = {}
        """Every node, as all hosts are told of it."""
        self._withheld: set[str] = set()
        self._leaving: set[str] = set()
        self.covers = 0
        """The revision of the state that what is pending (and was taken) covers. For the caller of `update` to set."""
        self.moving = False
        """Whether an update is under way, so that what is pending may be the one half of a change."""
        self._holders: dict[str, set[str]] = defaultdict(set)
        self._needing: dict[str, set[str]] = defaultdict(set)
        self._node_faces: dict[str, tuple[str, int, bool, Suspicion, bool]] = {}
        self._service_faces: dict[str, ServiceInputs] = {}
        self._work = 0
        self._doubted: frozenset[str] = frozenset()
        self._images_of: dict[str, frozenset[str]] = {}
        self._tags_of: dict[str, frozenset[tuple[str, str]]] = {}

    # ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, node_id: str) -> HostAssignments:
        """Follow a host, from nothing: all it is to have is pending."""
        self.remove(node_id)
        view = self._hosts[node_id] = HostAssignments()
        view.pending.update({key_of(order): order for order in self._cluster.values()})
        self._refresh(node_id)
        return view

    def remove(self, node_id: str) -> None:
        """Follow the host no longer."""
        if (view := self._hosts.pop(node_id, None)) is None:
            return
        for network in view.own.networks:
            _discard(self._members, network, node_id)
        self._unwatch(node_id, view)
        self._withheld.discard(node_id)
        self._leaving.discard(node_id)

    # ── following the state ──────────────────────────────────────────────────────────────────────────────────────

    def doubt(self, node_ids: frozenset[str]) -> frozenset[str]:
        """From their next update on, no endpoint of these nodes is ready, whatever the state says. Returns those that
        this concerns."""
        concerned, self._doubted = self._doubted ^ node_ids, node_ids
        return concerned

    def update(self, dirty: Dirty) -> Iterator[None]:
        """Take in what is dirty; yields now and then so that the caller may let others run.

        Between two yields the sets are each a mixture of old and new, as the level-triggered receivers may see it.
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
            yield from self._breath()
        for task_id in dirty.tasks:
            self._replace(("task", task_id), self._endpoints(task_id))
            yield from self._breath()
        for node_id in dirty.nodes:
            hosts |= self._update_node(node_id)
            yield from self._breath()
        for node_id in hosts:
            self._refresh(node_id)
            yield from self._breath()

    def _breath(self) -> Iterator[None]:
        """Yield, if enough was done since the last time."""
        if self._work >= SLICE:
            self._work = 0
            yield

    def _update_service(self, service_id: str) -> set[str]:
        """Returns the hosts whose own part it changes: those of its tasks, when a revision came or went."""
        self._replace(("service", service_id), service_assignments(self._state, service_id))
        revisions = frozenset(self._state.revisions_of(service_id))
        service = self._state.services.get(service_id)
        face = (service is not None, revisions, service.registry_login if service else b"")
        if face == self._service_faces.get(service_id, _NO_FACE):
            return set()
        self._service_faces[service_id] = face
        if face == _NO_FACE:
            del self._service_faces[service_id]
        tasks = self._state.tasks_of(service_id)
        for task_id in tasks:
            self._replace(("task", task_id), self._endpoints(task_id))
        return {task.node_id for task in tasks.values() if task.node_id in self._hosts}

    def _update_node(self, node_id: str) -> set[str]:
        """Returns the hosts that may now fetch an image from the node, or no longer."""
        state = self._state
        self._update_member(node_id)
        self._replace(("node", node_id), peer_assignments(state, node_id))
        node = state.descriptions.get(node_id)
        face = (
            node.address if node else "",
            node.host_port if node else 0,
            state.node_state(node_id) is NodeState.DOWN or node_id in self._doubted,
            suspicion(state, node_id),
            is_manager(state, node_id),
        )
        old, self._node_faces[node_id] = self._node_faces.get(node_id), face
        if old != face:
            for task_id in state.tasks_on(node_id):
                self._replace(("task", task_id), self._endpoints(task_id))
        names, had = image_names(node) if node else frozenset(), self._images_of.get(node_id, frozenset())
        for name in names - had:
            self._holders[name].add(node_id)
        for name in had - names:
            _discard(self._holders, name, node_id)
        self._images_of[node_id] = names
        if node is None and not state.tasks_on(node_id):
            del self._node_faces[node_id], self._images_of[node_id]
        said, before = tags_said(state, node_id), self._tags_of.pop(node_id, frozenset())
        if said:
            self._tags_of[node_id] = said
        changed = (names | had if old != face else names ^ had) | {tag for tag, _meaning in said ^ before}
        return {host for name in changed for host in self._needing.get(name, ())}

    def _endpoints(self, task_id: str) -> Iterator[EndpointAssignment]:
        for order in endpoint_assignments(self._state, task_id):
            yield replace(order, ready=False) if order.ready and order.node_id in self._doubted else order

    def _update_member(self, node_id: str) -> None:
        old, new = self._cluster.get(node_id), member_assignment(self._state, node_id)
        if new == old:
            return
        if new is not None:
            self._cluster[node_id] = new
        else:
            del self._cluster[node_id]
        self._work += len(self._hosts)
        for view in self._hosts.values():
            view.pending["member", node_id] = new

    def _replace(self, source: Source, orders: Iterable[Shared]) -> None:
        """A source contributes these now; tell the hosts on the networks concerned."""
        self._work += 1
        new = {key_of(order): order for order in orders}
        old = self._made.get(source, {})
        if new:
            self._made[source] = new
        else:
            self._made.pop(source, None)
        for key, order in new.items():
            if old.get(key) != order:
                self._on[order.network_id][key] = order
                self._tell(order, order)
        for key, order in old.items():
            if key not in new:
                self._on[order.network_id].pop(key, None)
                if not self._on[order.network_id]:
                    del self._on[order.network_id]
                self._tell(order, None)

    def _tell(self, order: Shared, value: Assignment | None) -> None:
        key = key_of(order)
        for node_id in self._members.get(order.network_id, ()):
            if not is_own_peer(order, node_id):
                self._hosts[node_id].pending[key] = value

    # ── a host's own part ────────────────────────────────────────────────────────────────────────────────────────

    def _refresh(self, node_id: str) -> None:
        view = self._hosts.get(node_id)
        if view is None:
            return
        old, new = view.own, own_assignments(self._state, node_id, view.made)
        view.own = new
        self._work += 1 + len(new.resources)
        if len(view.made) > 2 * len(new.resources) + 64:
            view.made = {id: made for id, made in view.made.items() if ("task", id) in new.resources}
        for key, resource in new.resources.items():
            before = old.resources.get(key)
            if before is not resource and before != resource:
                view.pending[key] = resource
        for key in old.resources.keys() - new.resources.keys():
            view.pending[key] = None
        for network in old.networks - new.networks:
            self._leave(network, node_id, view)
        for network in new.networks - old.networks:
            self._enter(network, node_id, view)
        self._refresh_images(node_id, view)
        (self._withheld.add if new.withheld else self._withheld.discard)(node_id)
        (self._leaving.add if new.leaving else self._leaving.discard)(node_id)

    def _enter(self, network: str, node_id: str, view: HostAssignments) -> None:
        self._members[network].add(node_id)
        view.pending.update(self._on.get(network, {}))
        view.pending.pop(("peer", f"{node_id}.{network}"), None)

    def _leave(self, network: str, node_id: str, view: HostAssignments) -> None:
        _discard(self._members, network, node_id)
        view.pending.update(dict.fromkeys(self._on.get(network, {})))
        view.pending.pop(("peer", f"{node_id}.{network}"), None)

    def _refresh_images(self, node_id: str, view: HostAssignments) -> None:
        self._unwatch(node_id, view)
        orders: dict[str, ImageAssignment] = {}
        for reference in view.own.images:
            watched = view.watched[reference] = watched_keys(self._state, reference)
            for name in watched:
                self._needing[name].add(node_id)
            keys = holder_keys(self._state, reference)
            holders = {holder for name in keys for holder in self._holders.get(name, ())}
            if order := image_assignment(self._state, reference, node_id, holders):
                orders[reference] = order
                if view.images.get(reference) != order:
                    view.put(order)
        for reference in view.images.keys() - orders.keys():
            view.pending[key_of(view.images[reference])] = None
        view.images = orders

    def _unwatch(self, node_id: str, view: HostAssignments) -> None:
        for watched in view.watched.values():
            for name in watched:
                _discard(self._needing, name, node_id)
        view.watched = {}


def _discard(index: dict[str, set[str]], outer: str, inner: str) -> None:
    if (row := index.get(outer)) is not None:
        row.discard(inner)
        if not row:
            del index[outer]
