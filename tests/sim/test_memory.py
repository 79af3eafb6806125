"""The leader's memory saves work and decides nothing: whatever befalls the cluster, an empty one makes the same plans.

Two parts are handed on to the leader with the empty memory, for they tell of what the state holds no more: which
address was given last, and on which nodes tasks failed that are deleted since. They choose among what is equally right.
The second test does without them, too: then the laws must hold, and all must come to rest, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from msgspec.structs import replace

from api.objects.decided import Task
from manager.leader.memory import Memory
from manager.orchestrator import memory as orchestrator
from manager.orchestrator.slots.update_tally import UpdateTally
from manager.plan import Plan
from manager.scheduler.node_pools import NodePool, NodePools
from manager.scheduler.unschedulable import Unschedulable
from manager.store.interface import Put
from manager.store.state import Dirty, State
from tests.sim.cluster import Cluster, Wrapper
from tests.sim.laws import Broken


def without_names(state: State, plan: Plan) -> dict[tuple[str, str], Any]:
    """A plan's changes by key; new tasks by service and slot, for their ids are drawn."""
    found: dict[tuple[str, str], Any] = {}
    for change in plan.changes:
        value = change.value if isinstance(change, Put) else None
        key = change.kind.name, change.id
        if isinstance(value, Task) and value.id not in state.tasks:
            key = value.service_id, str(value.slot or value.node_id)
            value = replace(value, id="")
        found[key] = value
    return found


def later(plan: Plan, now: float) -> dict[tuple[str, str], float]:
    """What is to be looked at again, and when."""
    return {key: at for key, at in plan.again.items() if at > now}


class Compared(Wrapper):
    """Every plan is that of a planner with an empty memory."""

    def __call__(self, state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        empty = Memory()
        empty.allocator = deepcopy(memory.allocator)
        empty.scheduler.failures = deepcopy(memory.scheduler.failures)
        expected = self.planner(state, empty, dirty, now)
        plan = self.planner(state, memory, dirty, now)
        assert without_names(state, plan) == without_names(state, expected)
        assert later(plan, now) == later(expected, now)
        return plan


class Forgetful(Wrapper):
    """A leader that remembers nothing from round to round."""

    def __call__(self, state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        return self.planner(state, Memory(), dirty, now)


@pytest.mark.parametrize("seed", range(40))
def test_an_empty_memory_makes_the_same_plans(seed: int) -> None:
    Cluster(seed, Compared).run()


@pytest.mark.parametrize("seed", range(40, 60))
def test_a_leader_that_forgets_everything_keeps_the_laws_and_comes_to_rest(seed: int) -> None:
    Cluster(seed, Forgetful).run()


def run_seeds(number: int) -> None:
    for seed in range(number):
        Cluster(seed, Compared).run()


def nothing(*_: object) -> None:
    return None


def never(*_: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("part", "name", "wrong"),
    [
        (orchestrator.Memory, "take_in", nothing),
        (UpdateTally, "invalidate", nothing),
        (NodePools, "recount", nothing),
        (NodePool, "catch_up", never),
        (Unschedulable, "ask", never),
    ],
)
def test_a_memory_that_misses_something_is_found_out(
    monkeypatch: pytest.MonkeyPatch, part: type, name: str, wrong: Callable[..., Any]
) -> None:
    monkeypatch.setattr(part, name, wrong)
    with pytest.raises((AssertionError, Broken)):
        run_seeds(100)
