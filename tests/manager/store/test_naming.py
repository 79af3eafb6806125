"""Names of tasks, and addresses of managers."""

from __future__ import annotations

from api.objects.kinds import MEMBER
from api.objects.observed import LiveManager
from api.states import Role, TaskState
from manager.store.naming import api_addresses, is_live, living_managers, manager_addresses, task_name
from tests import make


def test_a_task_is_called_by_its_service_slot_and_id_even_when_the_service_is_gone() -> None:
    state = make.state(
        make.service("s1", name="web"),
        make.task("t1", "s1", slot=2),
        make.task("t2", "s1", slot=0, node_id="n1"),
        make.task("t3", "s9", slot=1),
    )

    names = [task_name(state, state.tasks[id]) for id in ("t1", "t2", "t3")]
    assert names == ["web.2.t1", "web.n1.t2", "s9.1.t3"]


def test_a_task_lives_from_its_assignment_until_it_ends() -> None:
    state = make.state(
        make.task("new"),
        make.task("going", node_id="n1", state=TaskState.ASSIGNED),
        make.task("ended", node_id="n1", state=TaskState.ASSIGNED),
        make.status("ended", TaskState.FAILED),
    )

    assert [id for id in state.tasks if is_live(state, state.tasks[id])] == ["going"]


def test_managers_are_those_that_are_to_be_and_can_be_reached() -> None:
    state = make.state(
        make.node("m1", role=Role.MANAGER),
        make.node("m2", role=Role.MANAGER),
        make.node("w1"),
        (MEMBER, "m1", LiveManager("10.0.0.1:2377", 0.0, "10.0.0.1:7946")),
        (MEMBER, "m2", LiveManager("10.0.0.2:2377", 0.0, "")),
        (MEMBER, "w1", LiveManager("10.0.0.3:2377", 0.0, "10.0.0.3:7946")),
    )

    assert living_managers(state) == ["m1"]
    assert (manager_addresses(state), api_addresses(state)) == (["10.0.0.1:7946"], ["10.0.0.1:2377"])
