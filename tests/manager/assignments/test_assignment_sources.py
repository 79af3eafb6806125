"""Assignments: the rules one by one, and that the incremental index equals the definition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.defaults import LINGER
from api.network.network_spec import INGRESS, NetworkSpec
from api.node_spec import NodeSpec
from api.objects.decided import (
    Gateway,
    NetworkDecision,
    NodeDecision,
    Revision,
    ServiceDecision,
    ServiceVIP,
    Task,
    TaskAddress,
)
from api.objects.kinds import (
    APPLIED_REVISION,
    DESCRIPTION,
    NETWORK,
    NETWORK_DECISION,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    SESSION,
    STATUS,
    SUSPICIONS,
    TASK,
    Kind,
)
from api.objects.observed import AppliedRevision, NodeDescription, NodeSession, Suspicions, TaskStatus
from api.objects.wanted import Network, Node, Service
from api.service.container import ContainerSpec
from api.service.ports import EndpointSpec, PortConfig
from api.service.service_spec import NetworkTarget, ServiceSpec, TaskSpec
from api.states import NodeState, Role, TaskState
from api.wire.assignments import (
    Assignment,
    AssignmentKey,
    EndpointAssignment,
    ImageAssignment,
    MemberAssignment,
    PeerAssignment,
    ServiceAssignment,
    TaskAssignment,
    key_of,
)
from manager.assignments.assignment_index import AssignmentIndex
from manager.assignments.assignment_sources import assignment_set, difference
from manager.store.state import Dirty, Event, State

IMAGE = "docker.io/library/demo:1"
ID, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PORT = PortConfig(target_port=80, published_port=8080)
MEMBERS = {("member", "n1"), ("member", "n2")}
HOST_PORT = PortConfig(target_port=81, published_port=8081, publish_mode="host")


class World:
    """A state that is advanced row by row, as by a store, with one tracker."""

    def __init__(self) -> None:
        self.state = State()
        self.dirty = Dirty()
        self.revisions: dict[str, Revision] = {}

    def put(self, kind: Kind, id: str, value: object | None) -> None:  # type: ignore[type-arg]
        """Write one row, or delete it."""
        self.state.apply([Event(kind, id, value, self.state.revision + 1)], self.state.revision + 1, [self.dirty])  # type: ignore[arg-type]

    def node(self, id: str, networks: Sequence[str] = (INGRESS,), **more: object) -> None:
        """A node with a gateway on each network."""
        number = int(id[1:])
        gateways = [Gateway(n, f"10.{index}.0.{number}/24") for index, n in enumerate(networks)]
        self.put(NODE, id, Node(id))
        self.put(DESCRIPTION, id, NodeDescription(address=f"192.0.2.{number}", **more))  # type: ignore[arg-type]
        self.put(NODE_DECISION, id, NodeDecision(NodeState.READY, gateways=gateways))

    def network(self, id: str, vni: int = 256) -> None:
        """A decided network."""
        self.put(NETWORK, id, Network(id, spec=NetworkSpec(name=f"{id}-name", driver="overlay")))
        self.put(NETWORK_DECISION, id, NetworkDecision("10.1.0.0/24", "10.1.0.128/25", vni))

    def service(
        self, id: str, networks: Sequence[str] = ("net",), ports: Sequence[PortConfig] = (), image: str = IMAGE
    ) -> None:
        """A service at revision 1 with VIPs."""
        template = TaskSpec(
            container_spec=ContainerSpec(image=image, hostname="h"),
            networks=[NetworkTarget(n, aliases=["alias"]) for n in networks],
        )
        spec = ServiceSpec(name=f"{id}-name", task_template=template, endpoint_spec=EndpointSpec(ports=list(ports)))
        ingress = [port for port in ports if port.publish_mode == "ingress"]
        on = [*networks, *([INGRESS] if ingress else [])]
        self.put(SERVICE, id, Service(id, spec=spec))
        self.put(REVISION, f"{id}.1", Revision(id, 1, spec))
        vips = [ServiceVIP(n, f"10.1.0.{200 + index}") for index, n in enumerate(on)]
        self.put(SERVICE_DECISION, id, ServiceDecision(vips, ingress))

    def task(self, id: str, service: str, node: str, networks: Sequence[str] = ("net",), **more: object) -> None:
        """An assigned task."""
        addresses = [TaskAddress(n, f"10.1.0.{int(id[1:])}/24") for n in networks]
        values = {"slot": 1, "node_id": node, "state": TaskState.ASSIGNED, "addresses": addresses, **more}
        self.put(TASK, id, Task(id, service, 1, **values))  # type: ignore[arg-type]

    def of(self, node: str, kind: type) -> dict[str, Assignment]:
        """A host's assignments of one kind, by id."""
        return {r.id: r for r in assignment_set(self.state, node).values() if isinstance(r, kind)}


def has(id: str) -> dict[str, object]:
    """A host that announces an image under the only tag; "" for none."""
    return {"images": [f"docker.io/library/demo@{id}", IMAGE, id], "tags": {IMAGE: id}} if id else {}


@pytest.fixture
def world() -> World:
    """Two nodes on ingress and net, one service with a task on n1."""
    world = World()
    world.network(INGRESS)
    world.network("net", 257)
    world.node("n1", (INGRESS, "net"))
    world.node("n2", (INGRESS, "net"))
    world.service("s1")
    world.task("t1", "s1", "n1")
    return world


def test_a_host_gets_its_task_with_all_it_needs(world: World) -> None:
    assert set(assignment_set(world.state, "n1")) == {
        ("task", "t1"), ("spec", "s1.1"), ("network", "net"), ("network", INGRESS),
        ("service", "s1.net"), ("endpoint", "t1.net"), ("peer", "n2.net"), ("peer", f"n2.{INGRESS}"),
        *MEMBERS,
    }  # fmt: skip
    order = world.of("n1", TaskAssignment)["t1"]
    assert isinstance(order, TaskAssignment)
    assert (order.name, order.spec_id, order.attachments[0].aliases) == ("s1-name.1.t1", "s1.1", ["alias"])


def test_a_host_gets_nothing_of_networks_it_takes_no_part_in(world: World) -> None:
    assert set(assignment_set(world.state, "n2")) == {("network", INGRESS), ("peer", f"n1.{INGRESS}"), *MEMBERS}


def test_an_unknown_host_gets_nothing_but_who_belongs_to_the_cluster(world: World) -> None:
    assert set(assignment_set(world.state, "n9")) == MEMBERS


def test_every_host_is_told_who_is_a_manager_and_its_key(world: World) -> None:
    world.put(NODE, "n2", Node("n2", spec=NodeSpec(role=Role.MANAGER), public_key=b"key"))
    assert world.of("n1", MemberAssignment) == {
        "n1": MemberAssignment("n1"),
        "n2": MemberAssignment("n2", manager=True, key=hashlib.sha256(b"key").hexdigest()),
    }
    world.put(NODE, "n2", None)
    assert set(world.of("n1", MemberAssignment)) == {"n1"}


@pytest.mark.parametrize("missing", ["revision", "network", "gateway"])
def test_a_task_waits_until_everything_is_decided(world: World, missing: str) -> None:
    if missing == "revision":
        world.put(REVISION, "s1.1", None)
    elif missing == "network":
        world.put(NETWORK_DECISION, "net", None)
    else:
        world.node("n1", (INGRESS,))
    assert world.of("n1", TaskAssignment) == {}


def test_a_task_to_be_stopped_is_sent_whatever_is_missing(world: World) -> None:
    world.node("n1", (INGRESS,))
    world.task("t1", "s1", "n1", desired=TaskState.SHUTDOWN)
    order = world.of("n1", TaskAssignment)["t1"]
    assert isinstance(order, TaskAssignment)
    assert order.desired is TaskState.SHUTDOWN


def test_an_ended_task_stays_until_it_is_reaped_but_its_endpoint_goes(world: World) -> None:
    world.put(STATUS, "t1", TaskStatus(TaskState.FAILED))
    assert set(world.of("n1", TaskAssignment)) == {"t1"}
    assert world.of("n1", EndpointAssignment) == {}
    assert ("network", "net") not in assignment_set(world.state, "n1")


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.ORPHANED])
def test_only_assigned_tasks_are_sent(world: World, state: TaskState) -> None:
    world.task("t1", "s1", "n1", state=state)
    assert world.of("n1", TaskAssignment) == {}


@pytest.mark.parametrize(
    ("status", "desired", "node", "ready"),
    [
        (None, TaskState.RUNNING, NodeState.READY, False),
        (TaskState.STARTING, TaskState.RUNNING, NodeState.READY, False),
        (TaskState.RUNNING, TaskState.RUNNING, NodeState.READY, True),
        (TaskState.RUNNING, TaskState.COMPLETE, NodeState.READY, True),
        (TaskState.RUNNING, TaskState.RUNNING, NodeState.UNKNOWN, True),
        (TaskState.RUNNING, TaskState.SHUTDOWN, NodeState.READY, False),
        (TaskState.RUNNING, TaskState.RUNNING, NodeState.DOWN, False),
    ],
)
def test_when_an_endpoint_is_ready(
    world: World, status: TaskState | None, desired: TaskState, node: NodeState, ready: bool
) -> None:
    world.task("t2", "s1", "n2", desired=desired)
    world.put(NODE_DECISION, "n2", msgspec.structs.replace(world.state.node_decisions["n2"], state=node))
    if status:
        world.put(STATUS, "t2", TaskStatus(status))
    endpoint = world.of("n1", EndpointAssignment)["t2.net"]
    assert isinstance(endpoint, EndpointAssignment)
    assert endpoint == EndpointAssignment(
        "t2.net", "net", "s1", "t2", "s1-name.1.t2", "n2", "192.0.2.2", "10.1.0.2", "h", ready
    )


def test_a_task_that_is_to_stop_drains_until_every_host_has_confirmed(world: World) -> None:
    for id in ("n1", "n2"):
        world.put(SESSION, id, NodeSession("m1"))
    world.task("t2", "s1", "n2")
    for id in ("t1", "t2"):
        world.put(STATUS, id, TaskStatus(TaskState.RUNNING))
    world.task("t1", "s1", "n1", desired=TaskState.SHUTDOWN)

    def drain() -> tuple[bool, float]:
        order = world.of("n1", TaskAssignment)["t1"]
        assert isinstance(order, TaskAssignment)
        return order.draining, order.linger

    assert drain() == (True, LINGER)
    endpoint = world.of("n2", EndpointAssignment)["t1.net"]
    assert isinstance(endpoint, EndpointAssignment)
    assert not endpoint.ready
    world.put(APPLIED_REVISION, "m1", AppliedRevision(world.state.revision))
    assert drain() == (False, LINGER)


def test_an_endpoint_that_its_host_is_closing_takes_no_connections(world: World) -> None:
    world.put(STATUS, "t1", TaskStatus(TaskState.RUNNING, closing=True))
    endpoint = world.of("n1", EndpointAssignment)["t1.net"]
    assert isinstance(endpoint, EndpointAssignment)
    assert not endpoint.ready


def test_mesh_ports_are_on_every_host_and_host_ports_in_the_spec(world: World) -> None:
    world.service("s2", ("net",), (PORT, HOST_PORT))
    world.task("t2", "s2", "n1", ("net", INGRESS))
    order = world.of("n2", ServiceAssignment)[f"s2.{INGRESS}"]
    assert isinstance(order, ServiceAssignment)
    assert order.ports == [PORT]
    assert set(world.of("n2", EndpointAssignment)) == {f"t2.{INGRESS}"}
    spec = assignment_set(world.state, "n1")["spec", "s2.1"]
    assert spec.host_ports == [HOST_PORT]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [f"docker.io/library/demo@{ID}", ID])
def test_a_host_is_told_who_has_its_image_until_the_task_runs(world: World, name: str) -> None:
    pinned = f"{IMAGE}@{ID}"
    world.service("s2", image=pinned)
    world.task("t2", "s2", "n1")
    world.node("n2", (INGRESS, "net"), images=[name], host_port=7999)
    assert world.of("n1", ImageAssignment) == {pinned: ImageAssignment(pinned, ["n2@192.0.2.2:7999"])}
    world.put(STATUS, "t2", TaskStatus(TaskState.RUNNING))
    assert world.of("n1", ImageAssignment) == {}


def test_a_host_is_not_told_of_itself_as_a_peer(world: World) -> None:
    world.node("n1", (INGRESS, "net"), **has(ID))
    world.put(NODE, "n1", Node("n1", spec=NodeSpec(role=Role.MANAGER)))
    assert world.of("n1", ImageAssignment) == {}
    assert all(isinstance(r, PeerAssignment) and r.node_id != "n1" for r in world.of("n1", PeerAssignment).values())


def test_difference_turns_one_set_into_the_other(world: World) -> None:
    old = assignment_set(world.state, "n1")
    world.put(STATUS, "t1", TaskStatus(TaskState.RUNNING))
    new = assignment_set(world.state, "n1")
    put, remove = difference(old, new)
    assert [key_of(r) for r in put] == [("endpoint", "t1.net")]
    assert remove == []
    assert difference(new, new) == ([], [])
    assert difference(new, {})[1] == list(new)


# ── the index ────────────────────────────────────────────────────────────────────────────────────────────────────

NODES, SERVICES, TASKS, NETWORKS = ("n1", "n2", "n3"), ("s1", "s2"), ("t1", "t2", "t3", "t4"), (INGRESS, "net", "two")
_networks = st.sets(st.sampled_from(NETWORKS)).map(sorted)
_seen = (TaskState.PREPARING, TaskState.RUNNING, TaskState.FAILED)
_actions = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(NODES), _networks, st.sampled_from(("", ID, OTHER))),
    st.tuples(st.just("down"), st.sampled_from(NODES), st.sampled_from(NodeState)),
    st.tuples(st.just("forget"), st.sampled_from((DESCRIPTION, NODE_DECISION)), st.sampled_from(NODES)),
    st.tuples(st.just("network"), st.sampled_from(NETWORKS), st.integers(256, 260)),
    st.tuples(st.just("forget"), st.sampled_from((NETWORK, NETWORK_DECISION)), st.sampled_from(NETWORKS)),
    st.tuples(st.just("service"), st.sampled_from(SERVICES), _networks, st.sampled_from([(), (PORT,)]),
              st.sampled_from((IMAGE, f"{IMAGE}@{ID}"))),
    st.tuples(st.just("forget"), st.sampled_from((SERVICE, SERVICE_DECISION)), st.sampled_from(SERVICES)),
    st.tuples(st.just("forget"), st.just(REVISION), st.sampled_from([f"{s}.1" for s in SERVICES])),
    st.tuples(
        st.just("task"), st.sampled_from(TASKS), st.sampled_from(SERVICES), st.sampled_from(NODES), _networks,
        st.sampled_from((TaskState.RUNNING, TaskState.SHUTDOWN)),
    ),
    st.tuples(st.just("forget"), st.sampled_from((TASK, STATUS)), st.sampled_from(TASKS)),
    st.tuples(st.just("status"), st.sampled_from(TASKS), st.sampled_from(_seen)),
    st.tuples(st.just("session"), st.sampled_from(NODES), st.sampled_from(("m1", "m2", ""))),
    st.tuples(st.just("confirm"), st.sampled_from(("m1", "m2")), st.integers(0, 40)),
    st.tuples(st.just("role"), st.sampled_from(NODES), st.sampled_from((*Role, None))),
    st.tuples(st.just("update")),
    st.tuples(st.just("reconnect"), st.sampled_from(NODES)),
)  # fmt: skip


def act(world: World, action: tuple) -> None:  # type: ignore[type-arg]
    """Change the world."""
    match action:
        case ("node", id, networks, image):
            world.node(id, networks, **has(image))
        case ("down", id, state):
            if old := world.state.node_decisions.get(id):
                world.put(NODE_DECISION, id, msgspec.structs.replace(old, state=state))
        case ("role", id, role):
            world.put(NODE, id, Node(id, spec=NodeSpec(role=role)) if role else None)
        case ("network", id, vni):
            world.network(id, vni)
        case ("service", id, networks, ports, image):
            world.service(id, networks, ports, image)
            # a revision never changes under the same number
            key = f"{id}.1"
            world.put(REVISION, key, world.revisions.setdefault(key, world.state.table(REVISION)[key]))
        case ("task", id, service, node, networks, desired):
            world.task(id, service, node, networks, desired=desired)
        case ("session", id, manager):
            world.put(SESSION, id, NodeSession(manager) if manager else None)
        case ("confirm", id, revision):
            world.put(APPLIED_REVISION, id, AppliedRevision(revision))
        case ("status", id, state):
            world.put(STATUS, id, TaskStatus(state))
        case ("forget", kind, id):
            world.put(kind, id, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(_actions, max_size=40))
def test_the_sum_of_all_differences_is_the_whole_set(actions: list[tuple]) -> None:  # type: ignore[type-arg]
    world = World()
    index = AssignmentIndex(world.state)
    views = {id: index.add(id) for id in NODES}
    sent: dict[str, dict[AssignmentKey, Assignment]] = {id: {} for id in NODES}

    def deliver() -> None:
        for _ in index.update(world.dirty.take()):
            pass
        for id, view in views.items():
            put, remove = view.take()
            for key in remove:
                sent[id].pop(key, None)
            sent[id].update({key_of(resource): resource for resource in put})
            assert sent[id] == assignment_set(world.state, id)

    for action in actions:
        if action[0] == "update":
            deliver()
        elif action[0] == "reconnect":
            views[action[1]], sent[action[1]] = index.add(action[1]), {}
        else:
            act(world, action)
    deliver()


def test_a_change_reaches_only_those_who_take_part(world: World) -> None:
    index = AssignmentIndex(world.state)
    views = {id: index.add(id) for id in ("n1", "n2")}
    for _ in index.update(world.dirty.take()):
        pass
    for view in views.values():
        view.take()
    world.put(STATUS, "t1", TaskStatus(TaskState.RUNNING))
    for _ in index.update(world.dirty.take()):
        pass
    assert [key_of(r) for r in views["n1"].take()[0]] == [("endpoint", "t1.net")]
    assert views["n2"].take() == ([], [])


def test_endpoints_of_a_doubted_node_are_not_ready_for_hosts_that_are_here_and_that_come(world: World) -> None:
    index = AssignmentIndex(world.state)
    views = {"n1": index.add("n1")}
    world.task("t2", "s1", "n2")
    world.put(STATUS, "t1", TaskStatus(TaskState.RUNNING))
    world.put(STATUS, "t2", TaskStatus(TaskState.RUNNING))

    def ready(node: str) -> dict[str, bool]:
        return {r.task_id: r.ready for r in views[node].take()[0] if isinstance(r, EndpointAssignment)}

    def update(doubted: frozenset[str]) -> None:
        dirty = world.dirty.take()
        dirty.nodes |= index.doubt(doubted)
        for _ in index.update(dirty):
            pass

    update(frozenset())
    assert ready("n1") == {"t1": True, "t2": True}
    update(frozenset({"n2"}))
    views["n2"] = index.add("n2")
    assert ready("n1") == {"t2": False}
    assert ready("n2") == {"t1": True, "t2": False}
    world.task("t2", "s1", "n2", slot=7)  # independent of its other changes
    update(frozenset({"n2"}))
    assert not any(ready("n1").values())
    update(frozenset())
    assert ready("n1") == {"t2": True}


def test_connections_to_a_host_that_is_lost_are_over_and_only_to_that(world: World) -> None:
    def lost() -> set[str]:
        return {r.task_id for r in world.of("n1", EndpointAssignment).values() if r.lost}

    world.task("t2", "s1", "n2")
    world.put(SUSPICIONS, "m1", Suspicions(["n2"]))
    assert lost() == set(), "it may only be slow"
    world.put(SUSPICIONS, "m1", Suspicions(["n2"], ["n2"]))
    assert lost() == {"t2"}


def test_a_task_made_changed_and_deleted_between_two_looks_is_never_sent(world: World) -> None:
    index = AssignmentIndex(world.state)
    view = index.add("n1")
    for _ in index.update(world.dirty.take()):
        pass
    view.take()
    world.task("t9", "s1", "n1")
    world.task("t9", "s1", "n1", desired=TaskState.SHUTDOWN)
    world.put(TASK, "t9", None)
    for _ in index.update(world.dirty.take()):
        pass
    assert view.take() == ([], [])
