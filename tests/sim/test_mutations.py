"""Each law of the simulation can fail: planners that are broken on purpose are found out, and by that law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from api.objects.decided import ServiceDecision, Task, TaskAddress
from api.objects.kinds import TASK
from api.service.service_spec import UpdateConfig
from api.states import TaskState
from manager.orchestrator import orchestrator
from manager.orchestrator.nodes import node_liveness, relocation
from manager.orchestrator.slots import service_pass
from manager.orchestrator.slots.service_pass import ServicePass, going
from manager.orchestrator.tasks import job_runs, repair
from manager.orchestrator.updates import rolling_update
from manager.plan import Plan
from manager.store.interface import Delete, Put
from manager.store.state import Dirty, State
from tests.sim.cluster import Cluster, Wrapper
from tests.sim.laws import Broken

ORCHESTRATOR, ALLOCATOR, SCHEDULER = range(3)
MOST_SEEDS = 200


class Changed(Wrapper):
    """A planner of whose changes some come out wrong."""

    guilty = ORCHESTRATOR

    def __call__(self, state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        plan = self.planner(state, memory, dirty, now)
        if self.number != self.guilty:
            return plan
        changes = [
            Put(change.kind, change.id, self.spoil(state, change.value)) if isinstance(change, Put) else change
            for change in plan.changes
        ]
        return Plan(changes, self.again(plan))

    def spoil(self, state: State, value: Any) -> Any:
        return value

    def again(self, plan: Plan) -> Any:
        return plan.again


class OneAddressForAll(Changed):
    """Every task gets the same address of a network."""

    guilty = ALLOCATOR

    def spoil(self, state: State, value: Any) -> Any:
        if isinstance(value, Task) and value.addresses:
            same = [TaskAddress(own.network_id, f"{own.address.rpartition('.')[0]}.9/24") for own in value.addresses]
            return replace(value, addresses=same)
        return value


class OneGpuForAll(Changed):
    """Every task gets the same named resource."""

    guilty = SCHEDULER

    def spoil(self, state: State, value: Any) -> Any:
        if isinstance(value, Task) and value.generic_resources:
            first = replace(value.generic_resources[0].named_resource_spec, value="g1")
            return replace(value, generic_resources=[replace(value.generic_resources[0], named_resource_spec=first)])
        return value


class AllOnOneNode(Changed):
    """Tasks with a host-mode port all go to one node."""

    guilty = SCHEDULER

    def spoil(self, state: State, value: Any) -> Any:
        if isinstance(value, Task) and value.service_id == "s2" and value.state is TaskState.ASSIGNED:
            return replace(value, node_id="n1")
        return value


class Revives(Changed):
    """Tasks that were told to stop are wanted again."""

    def spoil(self, state: State, value: Any) -> Any:
        old = state.tasks.get(value.id) if isinstance(value, Task) else None
        if old is not None and old.desired is TaskState.SHUTDOWN and value.desired is TaskState.REMOVE:
            return replace(value, desired=TaskState.RUNNING)
        return value


class OnePortForAll(Changed):
    """Every service that publishes a port gets the same."""

    guilty = ALLOCATOR

    def spoil(self, state: State, value: Any) -> Any:
        if isinstance(value, ServiceDecision) and value.ports:
            return replace(value, ports=[replace(port, published_port=30000) for port in value.ports])
        return value


class ForgetsTheLiving(Changed):
    """Tasks that are to be removed are forgotten before they have ended."""

    def __call__(self, state: State, memory: Any, dirty: Dirty, now: float) -> Plan:
        plan = self.planner(state, memory, dirty, now)
        changes = [
            Delete(TASK, change.id)
            if isinstance(change, Put) and isinstance(change.value, Task) and change.value.desired is TaskState.REMOVE
            else change
            for change in plan.changes
        ]
        return Plan(changes, plan.again)


class NeverLooksAgain(Changed):
    """Delays are forgotten."""

    def again(self, plan: Plan) -> Any:
        return {}


class ForgetsRuns(Changed):
    """What was decided about is not written."""

    def spoil(self, state: State, value: Any) -> Any:
        if hasattr(value, "scheduled_to") and value.runs and len(value.runs) % 2 == 0:
            return replace(value, scheduled_to=value.scheduled_to - 20)
        return value


def is_found(law: str, wrap: type[Wrapper] | None = None) -> str:
    """The law, if a broken leader is found to break it in one of the seeds; else those that it does break."""
    found: set[str] = set()
    for seed in range(MOST_SEEDS):
        try:
            Cluster(seed, wrap).run()
        except Broken as broken:
            found.add(broken.law)
            if law in found:
                return law
    return f"only {', '.join(sorted(found)) or 'none'}"


@pytest.mark.parametrize(
    ("wrap", "law"),
    [
        (OneAddressForAll, "held once"),
        (OneGpuForAll, "generic resources"),
        (AllOnOneNode, "host ports"),
        (OnePortForAll, "held once"),
        (Revives, "legal moves"),
        (ForgetsTheLiving, "legal moves"),
        (NeverLooksAgain, "convergence"),
        (ForgetsRuns, "runs"),
    ],
)
def test_a_planner_that_plans_wrongly_is_found_out(wrap: type[Wrapper], law: str) -> None:
    assert is_found(law, wrap) == law


def all_at_once(_: object) -> int:
    return 0


def always_stop_first(service_pass: ServicePass, progress: Any) -> None:
    for slot in progress.waiting.first(len(progress.waiting)):
        for task in going(service_pass.tasks(slot)):
            service_pass.stop(slot, task)
        progress.busy += 1


def at_once(service_pass: ServicePass, task: Task) -> float:
    return service_pass.now


def never_moving(service_pass: ServicePass, running: list[Task]) -> bool:
    for task in running[:-1]:
        if running[-1].replaces == task.id:
            service_pass.stop(task.slot, task)
    return False


def always_free(service_pass: ServicePass, slot: Any) -> bool:
    return slot not in service_pass.handled


def yes(*_: object) -> bool:
    return True


def never(*_: object) -> bool:
    return False


def nothing(*_: object) -> None:
    return None


def all_of_it(spec: Any) -> Any:
    return spec


def start_over(service_pass: ServicePass, wanted: Any, run: Any) -> None:
    service_pass.decide(runs=[*service_pass.decision.runs, run])


@pytest.mark.parametrize(
    ("room", "name", "wrong", "law"),
    [
        (UpdateConfig, "slots_at_once", property(all_at_once), "available"),
        (rolling_update, "_start_more", always_stop_first, "available"),
        (relocation, "_is_busy", never, "available"),
        (repair, "_is_moving", never_moving, "available"),
        (ServicePass, "waits_until", at_once, "one per slot"),
        (ServicePass, "is_free", always_free, "one per slot"),
        (relocation, "starts_first", yes, "one per slot"),
        (service_pass, "task_fingerprint", all_of_it, "spared"),
        (node_liveness, "enforce_resources", nothing, "resources"),
        (rolling_update, "_is_stuck", never, "progress"),
        (repair, "replacement_due", nothing, "available"),
        (orchestrator, "remove_service", nothing, "convergence"),
        (job_runs, "_record", start_over, "runs"),
        (job_runs, "_has_lost_its_node", never, "convergence"),
    ],
)
def test_a_rule_that_is_not_kept_is_found_out(
    monkeypatch: pytest.MonkeyPatch, room: Any, name: str, wrong: Callable[..., Any], law: str
) -> None:
    monkeypatch.setattr(room, name, wrong)
    assert is_found(law) == law
