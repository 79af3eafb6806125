"""Assignment sources: stored objects turned into assignments (api/wire/assignments.py), and sets compared. Pure.

A source (a service, a task, a node) yields the assignments that it contributes to networks; a host adds its own tasks,
their specs and images. `assignment_set` defines the whole set of one host; the dispatcher updates the same sets by
difference (manager/assignments/assignment_index.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from api.network.network_spec import INGRESS
from api.objects.decided import Revision, Task
from api.objects.kinds import revision_id
from api.objects.wanted import Service
from api.states import Role, TaskState
from api.wire.assignments import (
    Assignment,
    AssignmentKey,
    Attachment,
    EndpointAssignment,
    MemberAssignment,
    NetworkAssignment,
    PeerAssignment,
    ServiceAssignment,
    SpecAssignment,
    TaskAssignment,
    key_of,
    login_id,
)  # fmt: skip
from api.wire.rpc import key_digest
from manager.assignments.connection_draining import AT_ONCE, ConnectionDraining, StopDelay, is_serving
from manager.assignments.image_sources import holder_keys, image_assignment, image_names, needs_image
from manager.assignments.stored_file_assignments import stored_file_assignments
from manager.hosts.suspicion import Suspicion, suspicion
from manager.security.border import host_address
from manager.security.registry_credentials import login_assignments
from manager.store.naming import container_hostname, is_live, service_name, task_name
from manager.store.state import State

MTU_OPTION = "com.docker.network.driver.mtu"


# ── what a service, a task and a node contribute to networks ─────────────────────────────────────────────────────


def service_assignments(state: State, service_id: str) -> Iterator[ServiceAssignment]:
    """One assignment for each network that the service is on."""
    service = state.services.get(service_id)
    if service is None:
        return
    decision = state.service_decisions.get(service_id)
    vips = {vip.network_id: vip.address for vip in decision.vips} if decision else {}
    ports = list(decision.ports) if decision else []
    aliases = {target.target: target.aliases for target in service.spec.network_targets}
    networks = {*aliases, *vips, *((INGRESS,) if ports else ())}
    for network in networks:
        yield ServiceAssignment(
            id=f"{service_id}.{network}",
            network_id=network,
            service_id=service_id,
            name=service.spec.name,
            vip=vips.get(network, ""),
            aliases=list(aliases.get(network, ())),
            ports=ports if network == INGRESS else [],
        )


def endpoint_assignments(state: State, task_id: str) -> Iterator[EndpointAssignment]:
    """One assignment for each network of the task, from when it is assigned until it has ended."""
    task = state.tasks.get(task_id)
    if task is None or not task.addresses or not is_live(state, task):
        return
    node = state.descriptions.get(task.node_id)
    if node is None:
        return
    name, ready = task_name(state, task), is_serving(state, task)
    hostname, macs = container_hostname(state, task), _macs(state.revision_of(task))
    for address in task.addresses:
        yield EndpointAssignment(
            id=f"{task_id}.{address.network_id}",
            network_id=address.network_id,
            service_id=task.service_id,
            task_id=task_id,
            task_name=name,
            node_id=task.node_id,
            host=host_address(node.address),
            address=_bare(address.address),
            hostname=hostname,
            ready=ready,
            mac_address=macs.get(address.network_id, ""),
            lost=suspicion(state, task.node_id) is Suspicion.LOST,
        )


def peer_assignments(state: State, node_id: str) -> Iterator[PeerAssignment]:
    """One assignment for each network on which the node has a bridge."""
    decision, node = state.node_decisions.get(node_id), state.descriptions.get(node_id)
    if decision is None or node is None or not (host := host_address(node.address)):
        return  # stored before addresses were checked; other hosts could not use it
    for gateway in decision.gateways:
        yield PeerAssignment(
            id=f"{node_id}.{gateway.network_id}",
            network_id=gateway.network_id,
            node_id=node_id,
            host=host,
            gateway=_bare(gateway.address),
        )


def member_assignment(state: State, node_id: str) -> MemberAssignment | None:
    """The assignment of a node, which every host gets; None when it is not part of the cluster (any more)."""
    node = state.nodes.get(node_id)
    return MemberAssignment(node_id, node.spec.role is Role.MANAGER, key_digest(node.public_key)) if node else None


# ── what a host gets of its own ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OwnAssignments:
    """The assignments that belong to one host, without those shared through networks."""

    resources: dict[AssignmentKey, Assignment] = field(default_factory=dict)
    """Its tasks and their specs, and the networks it takes part in."""
    networks: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    """References of the images that its tasks still need."""
    withheld: bool = False
    """Whether a task waits for a revision, a network or an address of the node."""
    leaving: bool = False
    """Whether a task that is to stop may still get connections (manager/assignments/connection_draining.py)."""


TaskAssignmentCache = dict[str, tuple[Task, Revision | None, StopDelay, TaskAssignment]]
"""By task: the assignment built last, with the values it was built from."""


def own_assignments(state: State, node_id: str, cache: TaskAssignmentCache | None = None) -> OwnAssignments:
    """A host's tasks with what is needed to run them, and its networks.

    The caller passes the same `cache` each time: an assignment is built again only when its task, revision or stop
    delay has changed.
    """
    cache = {} if cache is None else cache
    possible = network_assignments(state, node_id)
    resources: dict[AssignmentKey, Assignment] = {}
    networks = {INGRESS} & possible.keys()
    images: set[str] = set()
    withheld = leaving = False
    drains = state.index(ConnectionDraining)
    for task in state.tasks_on(node_id).values():
        if task.state is not TaskState.ASSIGNED:
            continue
        revision, live = state.revision_of(task), is_live(state, task)
        needed = {address.network_id for address in task.addresses} if live else set()
        if task.desired <= TaskState.COMPLETE and live and (revision is None or not needed <= possible.keys()):
            withheld = True
            continue
        drain = AT_ONCE
        if live and task.desired > TaskState.COMPLETE and task.addresses:
            leaving, drain = True, drains.of(task)
        known = cache.get(task.id)
        if known is None or known[:3] != (task, revision, drain) or revision is None:
            known = cache[task.id] = (task, revision, drain, task_assignment(state, task, drain))
        resources["task", task.id] = known[3]
        if revision is not None:
            if ("spec", known[3].spec_id) not in resources:
                _put(resources, spec_assignment(revision, state.services.get(task.service_id)))
            if live and task.desired <= TaskState.COMPLETE:
                for assignment in stored_file_assignments(state, revision.spec.task_template.container_spec, resources):
                    _put(resources, assignment)
                if ("secret", login_id(task.service_id)) not in resources:
                    for login in login_assignments(state, task.service_id):
                        _put(resources, login)
            if live and needs_image(state, task):
                images.add(revision.spec.task_template.container_spec.image)
        networks |= needed & possible.keys()
    for network in networks:
        _put(resources, possible[network])
    return OwnAssignments(resources, frozenset(networks), frozenset(images), withheld, leaving)


def task_assignment(state: State, task: Task, drain: StopDelay = AT_ONCE) -> TaskAssignment:
    """The assignment of a task to its host."""
    revision = state.revision_of(task)
    aliases = {target.target: target.aliases for target in revision.spec.network_targets} if revision else {}
    macs = _macs(revision)
    return TaskAssignment(
        id=task.id,
        name=task_name(state, task),
        service_id=task.service_id,
        service_name=service_name(state, task),
        spec_id=revision_id(task.service_id, task.revision),
        slot=task.slot,
        desired=task.desired,
        generic_resources=task.generic_resources,
        attachments=[
            Attachment(a.network_id, a.address, list(aliases.get(a.network_id, ())), macs.get(a.network_id, ""))
            for a in task.addresses
        ],
        draining=drain.waiting,
        linger=drain.linger,
    )


def spec_assignment(revision: Revision, service: Service | None) -> SpecAssignment:
    """The assignment of a revision; `service` is None while the last tasks of a deleted service stop."""
    return SpecAssignment(
        id=revision_id(revision.service_id, revision.number),
        task=revision.spec.task_template,
        service_labels=revision.spec.labels,
        host_ports=revision.spec.host_ports,
        registry_login=bool(service and service.registry_login),
    )


def network_assignments(state: State, node_id: str) -> dict[str, NetworkAssignment]:
    """By id: every network that has an address for the node's bridge, whether a task is on it or not."""
    decision = state.node_decisions.get(node_id)
    assignments: dict[str, NetworkAssignment] = {}
    for gateway in decision.gateways if decision else ():
        wanted = state.networks.get(gateway.network_id)
        decided = state.network_decisions.get(gateway.network_id)
        if wanted is None or decided is None:
            continue
        assignments[wanted.id] = NetworkAssignment(
            id=wanted.id,
            name=wanted.spec.name,
            vni=decided.vni,
            subnet=decided.subnet,
            vip_range=decided.vip_range,
            gateway=gateway.address,
            internal=wanted.spec.internal,
            ingress=wanted.spec.ingress,
            mtu=_mtu(wanted.spec.options),
        )
    return assignments


# ── whole sets ───────────────────────────────────────────────────────────────────────────────────────────────────


def assignment_set(state: State, node_id: str) -> dict[AssignmentKey, Assignment]:
    """The whole assignment set of a host, computed from scratch."""
    own = own_assignments(state, node_id)
    resources = dict(own.resources)
    for shared in _all_shared(state):
        if shared.network_id in own.networks and not is_own_peer(shared, node_id):
            _put(resources, shared)
    for other in state.nodes:
        if (assignment := member_assignment(state, other)) is not None:
            _put(resources, assignment)
    for reference in own.images:
        names = holder_keys(state, reference)
        holders = [id for id, node in state.descriptions.items() if names & image_names(node)]
        if images := image_assignment(state, reference, node_id, holders):
            _put(resources, images)
    return resources


def difference(
    old: Mapping[AssignmentKey, Assignment], new: Mapping[AssignmentKey, Assignment]
) -> tuple[list[Assignment], list[AssignmentKey]]:
    """The assignments to put and the keys to remove that turn the set `old` into `new`."""
    put = [resource for key, resource in new.items() if old.get(key) != resource]
    return put, [key for key in old if key not in new]


Shared = ServiceAssignment | EndpointAssignment | PeerAssignment


def is_own_peer(resource: Shared, node_id: str) -> bool:
    """Whether this is the host's own bridge; the host knows it from its NetworkAssignment."""
    return isinstance(resource, PeerAssignment) and resource.node_id == node_id


def _all_shared(state: State) -> Iterator[Shared]:
    for service_id in state.services:
        yield from service_assignments(state, service_id)
    for task_id in state.tasks:
        yield from endpoint_assignments(state, task_id)
    for node_id in state.node_decisions:
        yield from peer_assignments(state, node_id)


def _put(resources: dict[AssignmentKey, Assignment], resource: Assignment) -> None:
    resources[key_of(resource)] = resource


def _macs(revision: Revision | None) -> dict[str, str]:
    """By network: the MAC address that a service asks for."""
    wanted = revision.spec.network_targets if revision else ()
    return {target.target: target.mac_address for target in wanted if target.mac_address}


def _bare(address: str) -> str:
    return address.partition("/")[0]


def _mtu(options: Mapping[str, str]) -> int:
    text = options.get(MTU_OPTION, "")
    return int(text) if text.isdecimal() else 0
