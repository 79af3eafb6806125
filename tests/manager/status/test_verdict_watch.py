"""Verdicts kept up with the state equal those of judging every service again."""

from __future__ import annotations

import random
from math import inf

from api.engine.argosy import VerdictState
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP, SERVICE
from api.objects.observed import Leadership
from api.reasons.reason import Code, reason
from api.states import TaskState
from manager.status.service_verdict import service_verdict
from manager.status.verdict_watch import VerdictWatch
from manager.store.state import Dirty, State
from tests import make

LEADER = (LEADERSHIP, CURRENT_LEADER, Leadership("m1"))
IDS = ("s1", "s2", "s3")
STATES = (TaskState.PREPARING, TaskState.RUNNING, TaskState.FAILED, TaskState.COMPLETE)


def cluster() -> State:
    return make.state(*(make.decided_service(id, replicas=2) for id in IDS), make.node("n1"), LEADER)


def test_only_what_changed_is_told() -> None:
    state = cluster()
    watch = VerdictWatch(lambda service: service.id != "s3", 10.0, ["s2", "gone"])
    assert watch.update(state, (), 100.0) == {"s1", "s2", "gone"}
    assert watch.update(state, IDS, 100.0) == set()
    no_node = reason(Code.NO_SUITABLE_NODE)
    make.apply(state, make.task("t1", "s1", state=TaskState.PENDING, updated_at=100.0, reason=no_node))
    assert watch.update(state, ["s1"], 100.0) == {"s1"}
    assert watch.again_at() == 110.0
    assert watch.update(state, (), 110.0) == {"s1"}
    assert watch.verdicts["s1"][1].state is VerdictState.STUCK
    assert watch.again_at() == inf
    make.apply(state, (SERVICE, "s2", None))
    assert watch.update(state, ["s2"], 111.0) == {"s2"}
    assert "s2" not in watch.verdicts


def test_random_histories_end_in_the_verdicts_that_judging_all_gives() -> None:
    for seed in range(30):
        rng, state, dirty, now = random.Random(seed), cluster(), Dirty(), 1000.0
        watch = VerdictWatch(lambda _: True, 10.0)
        for number in range(40):
            now += rng.choice((0.1, 1.0, 12.0))
            if rng.random() < 0.1:
                row = (LEADERSHIP, CURRENT_LEADER, None) if rng.random() < 0.5 else LEADER
                make.apply(state, row, dirty=dirty)
            else:
                id, at = f"t{number}", rng.choice(STATES)
                placed = {"node_id": "n1", "state": TaskState.ASSIGNED, "created_at": now, "updated_at": now}
                make.apply(
                    state,
                    make.task(id, rng.choice(IDS), slot=rng.randint(1, 2), **placed),
                    make.status(id, at, now, started_at=0.0 if at is TaskState.PREPARING else now - 1),
                    dirty=dirty,
                )
            watch.update(state, dirty.take().services, now)
            found = {id: verdict for id, (_, verdict) in watch.verdicts.items()}
            assert found == {id: service_verdict(state, state.services[id], now, 10.0) for id in IDS}
