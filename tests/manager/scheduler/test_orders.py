"""The orders of nodes that are kept from round to round say what a look at every node would say."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.objects.decided import Task
from api.objects.kinds import KINDS, NODE, TASK
from api.objects.node_matching import attribute
from api.service.placement import Placement, Preference, SpreadOver
from api.service.resources import Reservations
from api.states import Availability, NodeState, TaskState
from kit import change_log
from kit.change_log import ChangeLog
from manager.scheduler.group_placement import shares
from manager.store.interface import Put
from manager.store.state import Event, State
from tests import make
from tests.manager.scheduler.placing import plan
from tests.manager.world import apply_plan

NOW = 1000.0
NODES = [f"n{number}" for number in range(6)]
KEYS = ("node.labels.disk", "node.labels.rack")
SERVICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "picky": {"constraints": ["node.labels.disk == ssd"]},
    "heavy": {"reserve": Reservations(memory_bytes=3 * make.GIB)},
    "few": {"placement": Placement(max_replicas=2)},
    "apart": {"placement": Placement(preferences=[Preference(SpreadOver(key)) for key in KEYS], max_replicas=3)},
}
happenings = st.one_of(
    st.tuples(st.just("tasks"), st.sampled_from(list(SERVICES)), st.integers(1, 9)),
    st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(["ssd", "hdd"]), st.booleans()),
    st.tuples(st.just("gone"), st.sampled_from(NODES)),
    st.tuples(st.just("end"), st.integers(0, 30)),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("plan only")),
    st.tuples(st.just("round")),
)


def naive(state: State) -> dict[str, str]:
    """Task → node: each on the least of (tasks of the service, tasks, id) among the nodes that can take it.

    With preferences: in the part with the fewest of the service that has such a node, and so on, level by level.
    """
    alive = [t for t in state.tasks.values() if t.node_id and not state.has_ended(t)]
    on = Counter(t.node_id for t in alive)
    of = Counter((t.service_id, t.node_id) for t in alive)
    heavy = Counter(t.node_id for t in alive if t.service_id == "heavy")
    chosen: dict[str, str] = {}
    groups: dict[str, list[Task]] = {}
    for task in state.tasks_in(TaskState.PENDING).values():
        groups.setdefault(task.service_id, []).append(task)
    for service, tasks in groups.items():
        for task in tasks:
            fit = [id for id in state.nodes if can_take(state, service, id, of, heavy)]
            if not fit:
                break
            if service == "apart":
                fit = in_emptiest_part(state, fit, of)
            node = min(fit, key=lambda id: (of[service, id], on[id], id))
            chosen[task.id] = node
            on[node] += 1
            of[service, node] += 1
            heavy[node] += service == "heavy"
    return chosen


def in_emptiest_part(state: State, fit: list[str], of: Counter[tuple[str, str]]) -> list[str]:
    here = [id for id in state.nodes if is_ready(state, id)]
    for key in KEYS:
        value = {id: attribute(key, state.nodes[id], None) for id in here}
        on = Counter[str]()
        for id in here:
            on[value[id]] += of["apart", id]
        chosen = min((on[value[id]], value[id]) for id in fit)[1]
        here, fit = ([id for id in some if value[id] == chosen] for some in (here, fit))
    return fit


def is_ready(state: State, id: str) -> bool:
    return state.node_state(id) is NodeState.READY and state.nodes[id].spec.availability is Availability.ACTIVE


def can_take(state: State, service: str, id: str, of: Counter[tuple[str, str]], heavy: Counter[str]) -> bool:
    node = state.nodes[id]
    if not is_ready(state, id):
        return False
    if service == "picky" and node.spec.labels.get("disk") != "ssd":
        return False
    if of[service, id] >= {"few": 2, "apart": 3}.get(service, 100):
        return False
    return service != "heavy" or heavy[id] < 2


def labels_of(id: str, disk: str) -> dict[str, str]:
    return {"disk": disk, "rack": f"r{NODES.index(id) % 2}"}


def happen(state: State, step: tuple[Any, ...], number: int) -> None:
    tasks = sorted(t.id for t in state.tasks.values() if t.node_id)
    match step:
        case ("tasks", service, count):
            rows = [
                make.task(f"{service}-{number:03}-{n}", service, slot=n, state=TaskState.PENDING) for n in range(count)
            ]
            make.apply(state, *rows)
        case ("node", id, disk, ready):
            kind = NodeState.READY if ready else NodeState.DOWN
            make.apply(state, make.node(id, state=kind, labels=labels_of(id, disk)))
        case ("gone", id):
            make.apply(state, (NODE, id, None))
        case ("end", which) if tasks:
            make.apply(state, make.status(tasks[which % len(tasks)], TaskState.COMPLETE))
        case ("delete", which) if tasks:
            make.apply(state, (TASK, tasks[which % len(tasks)], None))
        case ("plan only",):
            plan(state)
        case ("round",):
            check(state)


def check(state: State) -> None:
    """A round places as the naive way does."""
    expected = naive(state)
    made = plan(state)
    assert list(made.changes) == list(plan(copy(state)).changes), "a new leader's"
    placed = {c.id: c.value for c in made.changes if isinstance(c, Put) and isinstance(c.value, Task)}
    got = {id: task.node_id for id, task in placed.items() if task.node_id}
    assert got.keys() == expected.keys()
    apart = [id for id in got if placed[id].service_id == "apart"]  # which of them goes where is all the same
    assert Counter(got.pop(id) for id in apart) == Counter(expected.pop(id) for id in apart)
    assert got == expected
    apply_plan(state, made.changes)


def copy(state: State) -> State:
    """The same, with indexes of its own."""
    fresh = State()
    rows = [Event(kind, id, value, 1) for kind in KINDS for id, value in state.table(kind).items()]
    fresh.apply(rows, state.revision)
    return fresh


def run(steps: list[tuple[Any, ...]]) -> None:
    state = make.state(
        *[row for id, fields in SERVICES.items() for row in make.decided_service(id, **fields)],
        *[make.node(id, labels=labels_of(id, "ssd")) for id in NODES[:4]],
    )
    for number, step in enumerate(steps):
        happen(state, step, number)
    check(state)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(happenings, max_size=25))
def test_the_kept_orders_place_as_a_look_at_every_node_would(steps: list[tuple[Any, ...]]) -> None:
    run(steps)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(happenings, max_size=25))
def test_so_they_do_with_a_short_change_log(steps: list[tuple[Any, ...]]) -> None:
    kept = change_log.MOST
    change_log.MOST = 5
    try:
        run(steps)
    finally:
        change_log.MOST = kept


def test_a_change_log_tells_each_reader_what_is_new_and_says_when_it_has_forgotten() -> None:
    log = ChangeLog()
    log.note(["a"])
    place = log.end
    log.note(["b", "c"])
    assert log.since(place) == ["b", "c"]
    assert log.since(log.end) == []
    for _ in range(change_log.MOST):
        log.note(["d"])
    assert log.since(place) is None


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_shares_are_what_going_to_the_fewest_again_and_again_gives(counts: list[int], number: int) -> None:
    now = list(counts)
    for _ in range(number):
        now[min(range(len(now)), key=now.__getitem__)] += 1
    assert shares(counts, number) == [after - before for before, after in zip(counts, now, strict=True)]
