"""The scheduler's workloads: clusters and tasks of the shapes that swarmkit's own benchmark has (manager/scheduler).

Ours have one thing more: in swarmkit a one-off task carries its spec, here a task only refers to one. So a one-off is a
task of a service of its own, whose revision 1 has an empty spec, and that revision is written with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.node_spec import NodeSpec
from api.objects.decided import NodeDecision, Revision, ServiceDecision, Task
from api.objects.kinds import (
    DESCRIPTION,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    SESSION,
    STATUS,
    TASK,
    revision_id,
)
from api.objects.observed import NodeDescription, NodeSession, TaskStatus  # fmt: skip
from api.objects.wanted import Node, Service
from api.service.container import ContainerSpec
from api.service.mode import Mode, Replicated
from api.service.placement import Placement, Preference, SpreadOver
from api.service.resources import Reservations, Resources
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import NodeState, TaskState
from manager.store.interface import Put

GIB = 1 << 30
CPU = 1_000_000_000
LABELLED = 3
"""Every so manieth node carries the label that W1c asks for, as every third of swarmkit's carries the plugin."""
ZONES = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a workload is."""

    nodes: int
    services: int
    replicas: int

    @property
    def tasks(self) -> int:
        """All together."""
        return self.services * self.replicas

    def __str__(self) -> str:
        return f"{_short(self.nodes)} nodes, {_short(self.services)} x {_short(self.replicas)}"


def nodes(number: int, sessions: bool = False) -> Iterator[Put]:
    """READY nodes with room for everything; `sessions` if the orchestrator is to believe in them."""
    offered = Resources(reservations=Reservations(1000 * CPU, 4000 * GIB))
    for index in range(number):
        id = f"node{index:06d}"
        labels = {"zone": f"z{index % ZONES}", **({"network": "network"} if index % LABELLED == 0 else {})}
        yield Put(NODE, id, Node(id, spec=NodeSpec(labels=labels)))
        yield Put(DESCRIPTION, id, NodeDescription(hostname=id, architecture="x86_64", resources=offered))
        yield Put(NODE_DECISION, id, NodeDecision(state=NodeState.READY))
        if sessions:
            yield Put(SESSION, id, NodeSession("m1"))


def pending(shape: Shape, spec: ServiceSpec) -> Iterator[Put]:
    """Tasks that wait for a node, with the revisions they refer to."""
    for number in range(shape.services):
        service_id = f"service{number:06d}"
        yield Put(REVISION, revision_id(service_id, 1), Revision(service_id, 1, spec))
        for slot in range(1, shape.replicas + 1):
            id = f"{service_id}t{slot:06d}"
            yield Put(TASK, id, Task(id, service_id, 1, slot, state=TaskState.PENDING))


def plain() -> ServiceSpec:
    """Asks for nothing."""
    return ServiceSpec()


def constrained() -> ServiceSpec:
    """Only every third node will do."""
    placement = Placement(constraints=["node.labels.network == network"])
    return ServiceSpec(task_template=TaskSpec(placement=placement))


def rich() -> ServiceSpec:
    """A constraint, two reservations, a spread preference and a limit per node."""
    placement = Placement(
        constraints=["node.labels.network == network"],
        preferences=[Preference(SpreadOver("node.labels.zone"))],
        max_replicas=1000,
    )
    reserved = Resources(reservations=Reservations(CPU // 100, GIB // 64))
    return ServiceSpec(task_template=TaskSpec(placement=placement, resources=reserved))


def running(shape: Shape) -> Iterator[Put]:
    """A cluster in which everything runs already, evenly spread: what the leader finds on a quiet day."""
    yield from nodes(shape.nodes, sessions=True)
    place = 0
    for number in range(shape.services):
        service = service_of(number, shape.replicas, 1)
        yield Put(SERVICE, service.id, service)
        yield Put(REVISION, revision_id(service.id, 1), Revision(service.id, 1, service.spec))
        yield Put(SERVICE_DECISION, service.id, ServiceDecision(revision=1, wanted=1))
        for slot in range(1, shape.replicas + 1):
            id, node_id = f"{service.id}t{slot:06d}", f"node{place % shape.nodes:06d}"
            place += 1
            yield Put(TASK, id, Task(id, service.id, 1, slot, node_id, TaskState.ASSIGNED))
            yield Put(STATUS, id, TaskStatus(TaskState.RUNNING, 1.0, started_at=1.0))


def service_of(number: int, replicas: int, revision: int) -> Service:
    """A service without networks, at so many replicas."""
    id = f"service{number:06d}"
    spec = ServiceSpec(
        name=id, task_template=TaskSpec(ContainerSpec(image="app:1")), mode=Mode(replicated=Replicated(replicas))
    )
    return Service(id, spec=spec, revision=revision)


def _short(number: int) -> str:
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else str(number)
