"""post_start and pre_stop: what a task is while they run, and what comes of their failing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.lifecycle.step import Action, Observed, Wanted, step
from agent.runtime.interface import Output
from api.objects.observed import TaskStatus
from api.service.host_config import Hook
from api.states import TaskState
from tests.agent.builders import NETWORK, Lab, a_host, a_spec, a_task, cid, wanting
from tests.texts import error_of


async def ended(lab: Lab) -> TaskStatus:
    """How the task failed."""
    await lab.manager.until(lambda: lab.manager.state("t1") == "failed")
    return lab.manager.statuses["t1"][-1]


HOOKED = a_spec(post_start=[Hook(["warm", "up"])])


def test_a_task_is_starting_until_its_post_start_commands_are_done() -> None:
    running = Observed(pid=7, created=True, netns="/n")
    before = step(Wanted(a_task(), HOOKED), running)
    after = step(Wanted(a_task(), HOOKED), Observed(pid=7, created=True, netns="/n", hooked=True))

    assert (before.action, before.status.state) == (Action.HOOK, TaskState.STARTING)
    assert (after.action, after.status.state) == (Action.WATCH, TaskState.RUNNING)


@pytest.mark.looptime
async def test_a_failing_post_start_stops_the_container_and_fails_the_task(tmp_path: Path) -> None:
    async def fails(_id: str, _hook: Hook) -> Output:
        return Output(3, b"no such table\n")

    async with a_host(tmp_path) as lab:
        lab.runtime.hook = fails
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, HOOKED, a_task()])
        status = await ended(lab)

    assert error_of(status) == "post_start[0] failed with exit code 3: no such table"
    assert lab.runtime.verbs(cid())[:4] == ["create", "start", "exec", "stop"]


@pytest.mark.looptime
async def test_a_container_that_ends_during_its_hook_is_told_by_its_own_end(tmp_path: Path) -> None:
    async def never(_id: str, _hook: Hook) -> Output:
        lab.runtime.end(cid(), 5)
        await asyncio.Event().wait()
        raise AssertionError

    async with a_host(tmp_path) as lab:
        lab.runtime.hook = never
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, HOOKED, a_task()])
        status = await ended(lab)

    assert error_of(status) == "task: non-zero exit (5)"


@pytest.mark.looptime
async def test_pre_stop_comes_before_the_signal_and_cannot_keep_a_task_alive(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    async def hangs(id: str, hook: Hook) -> Output:
        seen.append([*lab.runtime.verbs(id), *hook.command])
        await asyncio.Event().wait()
        raise AssertionError

    async with a_host(tmp_path) as lab:
        lab.runtime.hook = hangs
        (await lab.manager.talking()).assign(
            full=True, put=[NETWORK, a_spec(pre_stop=[Hook(["bye"])], stop_grace_period=2_000_000_000), a_task()]
        )
        await lab.manager.until(lambda: lab.manager.state("t1") == "running")
        (await lab.manager.talking()).assign(put=[wanting(a_task(), TaskState.SHUTDOWN)])
        await lab.manager.until(lambda: lab.manager.state("t1") == "shutdown")

    assert seen == [["create", "start", "exec", "bye"]]
    assert "stop" in lab.runtime.verbs(cid())
