"""Orders and running agents for the tests of the agent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from agent.main import Agent
from agent.options import AgentConfig
from agent.runtime.interface import container_id
from api.service.container import ContainerSpec, Healthcheck
from api.service.service_spec import TaskSpec
from api.states import TaskState
from api.wire.assignments import Attachment, NetworkAssignment, SpecAssignment, TaskAssignment
from kit.supervisor import stop
from kit.timing import loop_clock
from tests.fakes import FakeConnector, FakeManager, FakeNetworks, FakeRuntime

IMAGE = "docker.io/library/demo:1"
NETWORK = NetworkAssignment("net", "shop_default", 4097, "10.0.1.0/24", "10.0.1.0/25", "10.0.1.130/24")


def a_task(id: str = "t1", desired: TaskState = TaskState.RUNNING, spec_id: str = "s1.1") -> TaskAssignment:
    """A task of service `web` on one network."""
    return TaskAssignment(
        id=id,
        name=f"web.1.{id}",
        service_id="s1",
        service_name="web",
        spec_id=spec_id,
        slot=1,
        desired=desired,
        attachments=[Attachment("net", "10.0.1.140/24", ["web"])],
    )


def a_spec(id: str = "s1.1", healthcheck: Healthcheck | None = None, **container: Any) -> SpecAssignment:
    """A revision of service `web`."""
    return SpecAssignment(id, TaskSpec(container_spec=ContainerSpec(image=IMAGE, healthcheck=healthcheck, **container)))


def wanting(order: TaskAssignment, desired: TaskState) -> TaskAssignment:
    """The same task, wanted otherwise."""
    return msgspec.structs.replace(order, desired=desired)


class Lab:
    """One host: what outlives its agents, and a manager that talks to them."""

    def __init__(self, directory: Path) -> None:
        self.clock = loop_clock(1_000_000.0)
        self.runtime = FakeRuntime(self.clock)
        self.runtime.add_image(IMAGE)
        self.networks = FakeNetworks()
        self.connector = FakeConnector()
        self.manager = FakeManager(self.connector)
        self.config = AgentConfig("node1", "host1", directory, "192.0.2.1", managers=("m1:7946",))
        self.agent: Agent | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    def start_agent(self) -> Agent:
        """A new agent process."""
        self.agent = Agent(self.config, self.runtime, self.networks, self.connector, self.clock, random.Random(1))
        self._tasks.append(asyncio.get_running_loop().create_task(self.agent.run()))
        return self.agent

    async def kill_agent(self) -> None:
        """The agent process ends, wherever it is."""
        await stop(self._tasks)
        self._tasks.clear()

    def check(self) -> None:
        """The agent is still alive."""
        for task in self._tasks:
            if task.done():
                task.result()


@asynccontextmanager
async def a_host(directory: Path, *, agent: bool = True) -> AsyncIterator[Lab]:
    """A host, its agent running and connected."""
    lab = Lab(directory)
    serving = asyncio.get_running_loop().create_task(lab.manager.run())
    try:
        if agent:
            lab.start_agent()
            await lab.manager.talking()
        yield lab
        lab.check()
    finally:
        await lab.kill_agent()
        await stop([serving])


def cid(task_id: str = "t1") -> str:
    """The container of a task."""
    return container_id(task_id)
