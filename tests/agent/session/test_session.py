"""The session, in virtual time against a scripted manager."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from agent.session.known_managers import KnownManagers
from agent.session.session import ManagerSession
from agent.session.status_reporter import StatusReporter
from api.objects.observed import NodeDescription, TaskStatus
from api.states import TaskState
from api.wire.session_messages import Accepted, Assignments, Goodbye, Heartbeat, Hello, SessionInfo, Statuses
from kit.supervisor import stop
from tests.agent.builders import NETWORK, a_task
from tests.fakes import FakeConnection, FakeConnector

pytestmark = pytest.mark.looptime


class Setup:
    """A session and what stands around it."""

    def __init__(self, directory: Path, managers: tuple[str, ...]) -> None:
        self.connector = FakeConnector()
        self.reporter = StatusReporter()
        self.applied: list[Assignments] = []
        self.routing = asyncio.Event()
        self.routing.set()
        rng = random.Random(1)
        self.managers = KnownManagers(directory / "managers.json", managers, rng)
        self.session = ManagerSession(
            self.connector,
            self.managers,
            self.reporter,
            self.applied.append,
            self._routed,
            NodeDescription(hostname="h"),
            rng,
        )

    async def _routed(self) -> None:
        await self.routing.wait()

    async def greeted(self, *managers: str) -> FakeConnection:
        """The next connection, after the welcome."""
        talk = await self.connector.accept()
        assert isinstance(await talk.heard(), Hello)
        talk.say(SessionInfo(2.0, list(managers)))
        return talk


@asynccontextmanager
async def a_session(directory: Path, *managers: str) -> AsyncIterator[Setup]:
    setup = Setup(directory, managers or ("m1:7946",))
    task = asyncio.get_running_loop().create_task(setup.session.run())
    try:
        yield setup
        assert not task.done()
    finally:
        await stop([task])


async def test_a_heartbeat_every_period(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        now = asyncio.get_running_loop().time()
        for _ in range(3):
            assert await talk.heard() == Heartbeat()

        assert asyncio.get_running_loop().time() - now == pytest.approx(6.0)


async def test_assignments_are_confirmed_when_traffic_follows_them_the_newest_only(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        talk.assign(full=True, put=[NETWORK])
        assert await talk.heard() == Heartbeat(1)
        setup.routing.clear()
        for _ in range(3):
            talk.assign(put=[NETWORK])
            await asyncio.sleep(0.1)
        assert await talk.heard() == Heartbeat(1)
        setup.routing.set()
        confirmed = [await talk.heard() for _ in range(2)]
        assert confirmed == [Heartbeat(2), Heartbeat(4)]
        talk.break_off()

        # what was confirmed to one manager says nothing to the next
        assert await (await setup.greeted()).heard() == Heartbeat(0)


async def test_a_new_description_is_said_at_once(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        await asyncio.sleep(0.1)
        setup.session.describe(NodeDescription(hostname="h"))
        setup.session.describe(NodeDescription(hostname="h", images=["demo:1"]))

        assert await talk.heard() == Hello(NodeDescription(hostname="h", images=["demo:1"]))


async def test_assignments_are_applied_in_order(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        talk.assign(full=True, put=[NETWORK])
        talk.assign(put=[a_task()])
        await asyncio.sleep(0.1)

        assert [message.number for message in setup.applied] == [1, 2]


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 1]])
async def test_a_gap_in_the_numbers_drops_the_session(tmp_path: Path, numbers: list[int]) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        for number in numbers:
            talk.say(Assignments(number, number == 1))
        again = await setup.greeted()
        again.assign(full=True)
        await asyncio.sleep(0.1)

        assert [message.number for message in setup.applied] == [*numbers[:-1], 1]


async def test_a_manager_that_does_not_answer_is_left_for_another(tmp_path: Path) -> None:
    async with a_session(tmp_path, "m1:7946", "m2:7946") as setup:
        first = await setup.connector.accept()
        second = await setup.connector.accept()

        assert {first.address, second.address} == {"m1:7946", "m2:7946"}


async def test_the_managers_are_remembered(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        await setup.greeted("m7:7946")
        await asyncio.sleep(0.1)

    again = KnownManagers(tmp_path / "managers.json", (), random.Random(1))
    assert again.next() == "m7:7946"


def test_the_manager_that_was_lost_is_tried_last(tmp_path: Path) -> None:
    for seed in range(20):
        managers = KnownManagers(tmp_path / f"{seed}.json", ("m1", "m2", "m3", "old"), random.Random(seed))
        first = managers.next()
        managers.update(["m1", "m2", "m3", "m4"], {})

        tried = [managers.next() for _ in range(5)]

        assert sorted(tried[:4]) == ["m1", "m2", "m3", "m4"]
        assert first in tried[3:]
        assert tried[4] == "old"


def test_who_the_managers_are_is_remembered_and_nobody_else_is_tried(tmp_path: Path) -> None:
    path, ids = tmp_path / "managers.json", {"10.0.0.1:7946": "id1", "[fd00::2]:7946": "id2"}
    KnownManagers(path, ("old:7946",), random.Random(1)).update(list(ids), ids)
    again = KnownManagers(path, ("old:7946",), random.Random(1))
    assert {again.next() for _ in range(6)} == set(ids)
    assert {address: again.node_id(address) for address in ids} == ids
    assert again.node_id("old:7946") == ""


async def test_trying_goes_on_with_growing_delays(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        setup.connector.down.add("m1:7946")
        await asyncio.sleep(60)
        assert 10 <= len(setup.connector.tried) <= 30

        setup.connector.down.clear()
        await setup.greeted()


async def test_statuses_are_sent_again_in_the_next_session(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        setup.reporter.report("t1", TaskStatus(TaskState.RUNNING))
        setup.reporter.report("t2", TaskStatus(TaskState.RUNNING))
        talk = await setup.greeted()
        batch = await talk.heard()
        assert isinstance(batch, Statuses)
        talk.break_off()

        batch = await (await setup.greeted()).heard()
        assert isinstance(batch, Statuses)
        assert set(batch.statuses) == {"t1", "t2"}


async def test_the_next_batch_waits_for_the_last_and_has_the_newest_only(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        await asyncio.sleep(0.1)
        setup.reporter.report("t1", TaskStatus(TaskState.RUNNING))
        first = await talk.heard()
        assert isinstance(first, Statuses)
        setup.reporter.report("t1", TaskStatus(TaskState.FAILED))
        setup.reporter.report("t2", TaskStatus(TaskState.RUNNING))
        setup.reporter.report("t2", TaskStatus(TaskState.COMPLETE))
        talk.say(Accepted(first.number - 1))
        assert await talk.heard() == Heartbeat()

        talk.say(Accepted(first.number))
        assert await talk.heard() == Statuses(
            first.number + 1, {"t1": TaskStatus(TaskState.FAILED), "t2": TaskStatus(TaskState.COMPLETE)}
        )


async def test_news_of_a_task_on_its_way_up_waits_a_moment_for_better_news(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        await asyncio.sleep(0.1)
        for state in (TaskState.PREPARING, TaskState.STARTING):
            setup.reporter.report("t1", TaskStatus(state))
            await asyncio.sleep(0.02)

        batch = await talk.heard()
        assert isinstance(batch, Statuses)
        assert batch.statuses["t1"].state is TaskState.STARTING


async def test_nothing_is_said_of_a_forgotten_task(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        setup.reporter.report("t1", TaskStatus(TaskState.RUNNING))
        setup.reporter.forget("t1")
        talk = await setup.greeted()

        assert await talk.heard() == Heartbeat()


async def test_a_cancellation_that_meets_a_lost_session_is_not_forgotten(tmp_path: Path) -> None:
    setup = Setup(tmp_path, ("m1:7946",))
    task = asyncio.get_running_loop().create_task(setup.session.run())
    talk = await setup.greeted()
    await asyncio.sleep(0.1)
    talk.break_off()
    await asyncio.sleep(0)  # the session's tasks have seen the loss, its group not yet
    task.cancel()
    async with asyncio.timeout(5.0):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_farewell_is_over_when_the_manager_ends_the_session(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        talk = await setup.greeted()
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        farewell = loop.create_task(setup.session.farewell())
        assert await talk.heard() == Goodbye()
        assert not farewell.done()
        before = loop.time()
        talk.break_off()
        await farewell
        assert loop.time() - before < 0.5


async def test_a_farewell_waits_for_no_manager_for_ever(tmp_path: Path) -> None:
    async with a_session(tmp_path) as setup:
        await setup.session.farewell()  # nobody listens yet
        await setup.greeted()
        await asyncio.sleep(0.1)
        async with asyncio.timeout(3.0):
            await setup.session.farewell()


async def test_what_a_manager_does_not_take_is_not_said_again_at_once(tmp_path: Path) -> None:
    """Although each session begins well: the delays grow all the same."""
    async with a_session(tmp_path) as setup:
        loop, begun = asyncio.get_running_loop(), []
        for _ in range(6):
            talk = await setup.greeted()
            begun.append(loop.time())
            await asyncio.sleep(0.01)
            talk.refuse("Address: 'x' is not an IPv4 address")
        pauses = [later - former for former, later in pairwise(begun)]
        assert pauses == sorted(pauses)
        assert pauses[-1] > 0.5


def test_a_manager_on_a_host_that_moved_is_looked_for_where_it_is_now(tmp_path: Path) -> None:
    managers = KnownManagers(tmp_path / "m.json", ["192.0.2.1:7946"], random.Random(1))
    managers.update(["192.0.2.1:7946", "192.0.2.2:7946"], {"192.0.2.1:7946": "m1", "192.0.2.2:7946": "m2"})
    managers.relocate("192.0.2.1", "192.0.2.77")

    again = KnownManagers(tmp_path / "m.json", [], random.Random(1))
    assert {again.next(), again.next()} == {"192.0.2.77:7946", "192.0.2.2:7946"}
    assert again.node_id("192.0.2.77:7946") == "m1"
