"""The agent is killed and started again: nothing that runs is touched, nothing that ended is started again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.lifecycle.adoption import observe
from agent.lifecycle.health import HealthState
from agent.lifecycle.step import Observed
from agent.runtime.interface import Container, Exit, Image
from api.defaults import DRAIN_LIMIT, SECOND
from api.objects.observed import TaskStatus
from api.service.container import Healthcheck
from api.states import TaskState
from tests.agent.builders import NETWORK, a_host, a_spec, a_task, cid, wanting
from tests.agent.test_agent import running, settled
from tests.texts import error_of

CHECKED = Healthcheck(test=["CMD", "true"], interval=10 * SECOND)
IMAGE = Image("sha256:1", ("demo:1",), ())
LIVING = Container(cid(), "web.1.t1", "t1", "demo:1", "sha256:1", 1.0, 2.0, 77, None, {})
RAN = TaskStatus(TaskState.RUNNING, 5.0, "started")


def test_a_noted_end_is_final() -> None:
    seen = observe(TaskStatus(TaskState.FAILED, 5.0, "failed", "x"), LIVING, IMAGE, a_spec())

    assert seen.final
    assert error_of(seen.final) == "x"


def test_a_task_that_ran_is_not_started_again_when_its_container_is_gone() -> None:
    seen = observe(RAN, None, None, a_spec())

    assert seen.failure
    assert seen.failure.state is TaskState.FAILED


def test_a_container_that_was_made_but_never_started_goes_the_whole_way_again() -> None:
    assert observe(None, replace(LIVING, pid=0), IMAGE, a_spec()) == Observed()


@pytest.mark.parametrize(
    ("status", "check", "state"),
    [
        (RAN, CHECKED, HealthState.HEALTHY),
        (None, CHECKED, HealthState.STARTING),
        (RAN, None, HealthState.NONE),
    ],
)
def test_health_goes_on_where_it_was(status: TaskStatus | None, check: Healthcheck | None, state: HealthState) -> None:
    assert observe(status, LIVING, IMAGE, a_spec(healthcheck=check)).health.state is state


def test_an_end_in_the_agents_absence_is_seen() -> None:
    seen = observe(RAN, replace(LIVING, exit=Exit(9, False, 6.0)), IMAGE, a_spec())

    assert seen.exit == Exit(9, False, 6.0)
    assert seen.reached is TaskState.RUNNING


@pytest.mark.looptime
async def test_a_restarted_agent_takes_over_what_runs_without_any_manager(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2", "t3", healthcheck=CHECKED)
        before = dict(lab.runtime.all)
        await lab.kill_agent()
        lab.runtime.end(cid("t2"), 3)
        lab.connector.down.add("m1:7946")
        lab.runtime.calls.clear()

        lab.start_agent()
        await settled()

        assert lab.runtime.all[cid("t1")] == before[cid("t1")]
        assert not {"create", "start", "stop", "remove"} & {verb for verb, _ in lab.runtime.calls}
        assert lab.networks.served == {cid("t1"), cid("t3")}
        assert dict(lab.networks.view.networks) == {"net": NETWORK}


@pytest.mark.looptime
async def test_a_restarted_agent_tells_the_same_statuses_again(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2")
        lab.runtime.end(cid("t2"), 3)
        await lab.manager.until(lambda: lab.manager.state("t2") == "failed")
        last = {id: told[-1] for id, told in lab.manager.statuses.items()}
        await lab.kill_agent()
        await lab.manager.until(lambda: lab.manager.connection is None)
        lab.manager.statuses.clear()

        lab.start_agent()
        await lab.manager.until(lambda: len(lab.manager.statuses) == 2)

        assert {id: told[-1] for id, told in lab.manager.statuses.items()} == last


@pytest.mark.looptime
async def test_a_rejected_task_is_not_tried_again_after_a_restart(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        images, lab.runtime.store = lab.runtime.store, {}
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "rejected")
        await lab.kill_agent()
        lab.runtime.store = images

        lab.start_agent()
        await settled()

        assert not lab.runtime.all


@pytest.mark.looptime
async def test_strays_are_removed_on_a_managers_word_only(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2")
        await lab.manager.until(lambda: lab.manager.state("t2") == "running")
        await lab.kill_agent()
        (tmp_path / "assignments.jsonl").unlink()
        by_hand = replace(lab.runtime.all[cid("t1")], id="f" * 64, task_id="", name="mine")
        lab.runtime.all[by_hand.id] = by_hand

        lab.start_agent()
        connection = await lab.manager.talking()
        await settled()
        assert {cid("t1"), cid("t2")} < set(lab.runtime.all)

        connection = await lab.manager.talking()
        connection.assign(full=True, put=[NETWORK, a_spec(), wanting(a_task("t1"), TaskState.RUNNING)])
        await settled()
        assert set(lab.runtime.all) == {cid("t1"), by_hand.id}
        assert "stop" not in lab.runtime.verbs(cid("t1"))


@pytest.mark.looptime
@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.25, 0.35, 0.5])
@pytest.mark.parametrize("end", [TaskState.RUNNING, TaskState.SHUTDOWN, TaskState.REMOVE])
async def test_killed_at_any_moment_the_next_agent_comes_to_the_same_end(
    tmp_path: Path, moment: float, end: TaskState
) -> None:
    async with a_host(tmp_path) as lab:
        image = lab.runtime.store.popitem()
        lab.runtime.pullable, lab.runtime.pull_delay, lab.runtime.create_delay = dict([image]), 0.1, 0.2
        connection = await lab.manager.talking()
        connection.assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await asyncio.sleep(moment)
        if end is not TaskState.RUNNING:
            connection.assign(put=[wanting(a_task(), end)])
            await asyncio.sleep(0.005)
        await lab.kill_agent()
        await lab.manager.until(lambda: lab.manager.connection is None)

        lab.start_agent()
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), wanting(a_task(), end)])
        await lab.manager.until(
            lambda: lab.manager.state("t1") == ("running" if end is TaskState.RUNNING else "shutdown")
        )
        await settled()

        lives = [id for id, container in lab.runtime.all.items() if not container.exit]
        assert lives == list(lab.networks.open_sandboxes) == ([cid()] if end is TaskState.RUNNING else [])
        assert end is not TaskState.REMOVE or not lab.runtime.all


@pytest.mark.looptime
async def test_a_lost_disk_does_not_take_the_networks_down(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        await lab.kill_agent()
        (tmp_path / "assignments.jsonl").unlink()

        lab.start_agent()
        await settled()

        assert lab.networks.view.networks


@pytest.mark.looptime
async def test_a_host_that_leaves_keeps_nothing(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        agent = lab.agent
        assert agent
        await lab.kill_agent()
        await agent.leave()

        assert not lab.runtime.all
        assert not lab.networks.open_sandboxes
        assert list(tmp_path.iterdir()) == []


@pytest.mark.looptime
async def test_a_task_that_was_draining_when_the_agent_died_is_stopped_in_time_without_any_manager(
    tmp_path: Path,
) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        order = msgspec.structs.replace(wanting(a_task(), TaskState.SHUTDOWN), draining=True, linger=0.2)
        (await lab.manager.talking()).assign(put=[order])
        await asyncio.sleep(0.1)
        await lab.kill_agent()
        lab.connector.down.add("m1:7946")

        lab.start_agent()
        await asyncio.sleep(DRAIN_LIMIT)
        assert "stop" not in lab.runtime.verbs(cid())
        await asyncio.sleep(0.5)
        assert "stop" in lab.runtime.verbs(cid())


@pytest.mark.looptime
async def test_an_agent_that_lost_its_journal_takes_over_what_its_manager_still_wants(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2", "t3")
        before = dict(lab.runtime.all)
        await lab.kill_agent()
        (tmp_path / "assignments.jsonl").unlink()
        lab.runtime.calls.clear()

        lab.start_agent()
        await running(lab, "t1", "t2")
        await settled()

        assert lab.runtime.all == {cid(task): before[cid(task)] for task in ("t1", "t2")}
        assert lab.runtime.verbs(cid("t1")) == lab.runtime.verbs(cid("t2")) == []
