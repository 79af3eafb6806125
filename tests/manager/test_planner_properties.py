"""What holds for the planners together, whatever the cluster looks like and whatever happens to it.

After every step: nothing is held twice; no leader's memory is needed; and when all is quiet, every planner is content
with its own result even if it looks at everything again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.objects.kinds import KINDS, SERVICE
from api.service.mode import EmptyMode, Mode, ReplicatedJob
from api.service.placement import Placement
from api.service.resources import Reservations
from api.service.service_spec import Dependency
from api.states import GOING, Availability, NodeState, TaskState
from manager.allocator.allocation_index import AllocationIndex
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.plan import Plan
from manager.scheduler.node_load import Load
from manager.store.state import State
from tests import make
from tests.manager.invariants import check
from tests.manager.world import World, apply_plan, counter

NETWORKS = ("a", "b", "tiny")
NODES = ("n1", "n2", "n3")
SERVICES = ("s1", "s2", "s3")


def base() -> list[Any]:
    return [
        make.cluster(task_history=3),
        make.ingress(),
        make.network("a"),
        make.network("b"),
        make.network("tiny", subnet="10.77.0.0/28"),
        *[make.node(id, labels={"az": id[-1]}) for id in NODES[:2]],
    ]


modes = st.one_of(
    st.none(),
    st.just(make.global_mode()),
    st.builds(lambda total: Mode(replicated_job=ReplicatedJob(2, total)), st.integers(0, 4)),
    st.just(Mode(global_job=EmptyMode())),
)
specs = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 7),
        "image": st.sampled_from(["web:1", "web:2", "bad:1"]),
        "networks": st.lists(st.sampled_from(NETWORKS), unique=True, max_size=2),
        "ports": st.lists(st.sampled_from([make.port(), make.port(80), make.port(81, mode="host")]), max_size=2),
        "endpoint_mode": st.sampled_from(["", "vip"]),
        "placement": st.sampled_from([None, Placement(constraints=["node.labels.az != 1"]), Placement(max_replicas=2)]),
        "reserve": st.sampled_from([None, Reservations(memory_bytes=3 * make.GIB)]),
        "restart": st.builds(make.restart, st.sampled_from(["", "on-failure", "none"]), st.sampled_from([0, 5])),
        "update": st.builds(
            make.update,
            parallelism=st.sampled_from([None, 0, 2]),
            delay=st.sampled_from([0, 3]),
            action=st.sampled_from(["pause", "continue", "rollback"]),
            order=st.sampled_from(["stop-first", "start-first"]),
        ),
        "depends_on": st.sampled_from([[], [], [Dependency("s1", "healthy")], [Dependency("s2", optional=True)]]),
    }
)
steps = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(SERVICES), modes, specs),
    st.tuples(st.just("unwant"), st.sampled_from(SERVICES)),
    st.tuples(st.just("lose"), st.sampled_from(NODES)),
    st.tuples(st.just("join"), st.sampled_from(NODES), st.sampled_from(list(Availability))),
    st.tuples(st.just("remove"), st.sampled_from(NODES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 6, 100])),
    st.tuples(st.just("fail"), st.integers(0, 20)),
    st.tuples(st.just("rounds"), st.integers(1, 4)),
    st.tuples(st.just("leader")),
    st.tuples(st.just("network"), st.sampled_from(NETWORKS), st.booleans()),
)


def take(w: World, step: tuple[Any, ...]) -> None:
    """One thing that happens."""
    match step:
        case ("want", id, mode, fields):
            old = w.state.services.get(id)
            if old is None:
                w.put(make.service(id, mode=mode, **fields))
            else:
                w.change(id, mode=old.spec.mode if not old.spec.mode.replicated else None, **fields)
        case ("unwant", id):
            w.delete(SERVICE, id)
        case ("lose", id):
            w.lose(id)
        case ("join", id, availability):
            w.put(make.node(id, labels={"az": id[-1]}, availability=availability)[:2])
            w.regain(id)
        case ("remove", id):
            w.remove_node(id)
        case ("wait", seconds):
            w.wait(seconds, run)
        case ("fail", number) if running := [t for id in SERVICES for t in w.running(id)]:
            w.tell(running[number % len(running)].id, TaskState.FAILED)
        case ("rounds", number):
            for _ in range(number):
                w.round()
                check(w.state)
                w.agents(run)
        case ("leader",):
            w.new_leader()
        case ("network", id, removed):
            subnet = "10.77.0.0/28" if id == "tiny" else ""
            w.put(make.network(id, removed=removed, subnet=subnet))


def run(task: Any) -> TaskState:
    """Agents on which tasks with an odd number come up late."""
    return TaskState.STARTING if task.id.endswith("7") else TaskState.RUNNING


def check_rest(w: World) -> None:
    """When all is quiet."""
    state = w.state
    for planner in w.planners:
        assert planner(state, w.memory, make.everything(state), w.now).changes == []
    for service in state.services.values():
        for slot, number in Counter(t.slot or t.node_id for t in w.going(service.id)).items():
            assert number <= 2, f"slot {slot}"
    for task in state.tasks.values():
        assert task.service_id in state.services or not state.has_ended(task)
        if task.desired in GOING and task.node_id and task.state is TaskState.ASSIGNED:
            assert state.node_state(task.node_id) is not NodeState.DOWN or state.has_ended(task)
        assert task.state is TaskState.ASSIGNED or task.reason or task.desired not in GOING, "it says why it waits"
    for id in state.statuses:
        assert id in state.tasks


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(steps, max_size=14))
def test_nothing_is_held_twice_and_everybody_comes_to_rest(happenings: list[tuple[Any, ...]]) -> None:
    w = World(*base())
    for step in happenings:
        take(w, step)
        check(w.state)
    w.settle(run)
    w.wait(200, run)
    check(w.state)
    check_rest(w)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(steps, max_size=10))
def test_a_new_leader_decides_as_the_old_one_would(happenings: list[tuple[Any, ...]]) -> None:
    """Indexes that follow the state say the same as indexes made from it."""
    w = World(*base())
    for step in happenings:
        take(w, step)
    fresh = State()
    rows = [(kind, id, value) for kind in KINDS for id, value in w.state.table(kind).items()]
    make.apply(fresh, *rows)
    for old, new in zip(w.planners, planners(counter("new")), strict=True):
        before = old(w.state, w.memory, make.everything(w.state), w.now)
        after = new(fresh, Memory(), make.everything(fresh), w.now)
        assert keys(before, w.state) == keys(after, w.state)
    followed, made = w.state.index(AllocationIndex), fresh.index(AllocationIndex)
    for network, span in followed.spans.items():
        assert made.used(network, *span[:2]) == span[2]
    assert (followed.held, followed.ports, followed.bridges) == (made.held, made.ports, made.bridges)
    assert w.state.index(Load).nodes == fresh.index(Load).nodes
    assert w.state.index(Load).tasks == fresh.index(Load).tasks
    assert w.state.index(Load).services == fresh.index(Load).services


def keys(plan: Plan, state: State) -> set[tuple[str, str]]:
    """What a plan changes of what there is; new tasks have names of their own."""
    return {(change.kind.name, change.id) for change in plan.changes if change.id in state.table(change.kind)}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(steps, max_size=10))
def test_each_planner_is_content_with_its_own_result(happenings: list[tuple[Any, ...]]) -> None:
    w = World(*base())
    for step in happenings:
        take(w, step)
    for planner in w.planners:
        for _ in range(4):
            plan = planner(w.state, w.memory, make.everything(w.state), w.now)
            apply_plan(w.state, plan.changes)
        assert planner(w.state, w.memory, make.everything(w.state), w.now).changes == []
        check_addresses_only_if_decided(w.state)


def check_addresses_only_if_decided(state: State) -> None:
    """An address is never on a network that has no subnet."""
    for task in state.tasks.values():
        assert all(held.network_id in state.network_decisions for held in task.addresses)
