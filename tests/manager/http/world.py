"""A whole control plane for tests of the HTTP API: the real planners, and agents that only report tasks as running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.runtime.interface import container_id
from api.objects.decided import Task
from api.objects.kinds import STATUS
from api.objects.observed import TaskStatus
from api.states import TaskState
from api.wire.host_messages import LogLine
from kit.process import Result, run
from kit.supervisor import stop
from kit.timing import wall_clock
from manager.leader.memory import Memory
from manager.leader.planners import planners
from manager.leader.reconciler import reconcile
from manager.store.interface import Put, Stale
from manager.store.state import State
from tests.manager.http.cluster_api import OneManager, Registry, application, new_manager

_WAY = (TaskState.ACCEPTED, TaskState.PREPARING, TaskState.STARTING, TaskState.RUNNING)


class WallClockManager(OneManager):
    """A manager whose clock is the wall clock."""

    def clock(self) -> float:
        return wall_clock()


@dataclass
class World:
    """A control plane, and the socket for the docker client."""

    manager: OneManager
    registry: Registry
    socket: Path
    client: str

    async def docker(self, *arguments: str) -> str:
        """What the docker client prints (errors too); it must succeed."""
        result = await self.run(*arguments)
        text = (result.stdout + result.stderr).decode()
        assert result.ok, text
        return text.strip()

    async def start(self, *arguments: str) -> str:
        """`docker service create` until all its tasks run, without the seconds the client then watches them."""
        text = await self.docker("service", "create", "-d", *arguments)
        await self.until(lambda state: state.tasks and all(_runs(state, task) for task in state.tasks.values()))
        return text

    async def run(self, *arguments: str) -> Result:
        """The docker client, whatever comes of it."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.socket.parent), "DOCKER_HOST": f"unix://{self.socket}"}
        return await run(self.client, *arguments, env=env, timeout=60.0)

    async def until(self, condition: Any, seconds: float = 30.0) -> None:
        """Until the condition on the state holds."""
        async with asyncio.timeout(seconds):
            while not condition(self.manager.store.state):
                await self.manager.store.wait_newer(self.manager.store.state.revision)


def _runs(state: State, task: Task) -> bool:
    return state.task_state(task) is TaskState.RUNNING


async def agents(manager: OneManager) -> None:
    """Reports every assigned task as running, state by state, until it is to stop."""
    store = manager.store
    while True:
        revision = store.state.revision
        changes = [put for task in store.state.tasks.values() if (put := _next(manager, task))]
        if changes:
            try:
                await store.commit(changes)
            except Stale:
                continue
        else:
            await store.wait_newer(revision)


def _next(manager: OneManager, task: Task) -> Put | None:
    state = manager.store.state
    status = state.statuses.get(task.id)
    if task.state is not TaskState.ASSIGNED or (status and status.state.is_terminal):
        return None
    if task.desired > TaskState.COMPLETE:
        new = TaskState.SHUTDOWN
    elif status is None:
        new = _WAY[0]
    elif status.state in _WAY[:-1]:
        new = _WAY[_WAY.index(status.state) + 1]
    else:
        return None
    if new is TaskState.RUNNING:
        spec = state.task_spec(task)
        word = spec.container_spec.args[-1] if spec and spec.container_spec.args else "hello"
        manager.hosts.output.setdefault(task.id, [LogLine(wall_clock(), "stdout", f"{word}\n".encode())])
    return Put(
        STATUS, task.id,
        TaskStatus(new, wall_clock(), new.value, container_id=container_id(task.id), pid=100, started_at=wall_clock()),
    )  # fmt: skip


@asynccontextmanager
async def control_plane(directory: Path, client: str) -> AsyncIterator[World]:
    """A manager with planners and agents, served on a unix socket."""
    seeded = await new_manager()
    manager = WallClockManager(seeded.store)
    registry = Registry()
    runner = web.AppRunner(application(manager, registry))
    await runner.setup()
    socket = directory / "docker.sock"
    await web.UnixSite(runner, str(socket)).start()
    loop = asyncio.get_running_loop()
    leading = reconcile(manager.store, planners(), Memory(), wall_clock)
    work = [loop.create_task(leading), loop.create_task(agents(manager))]
    try:
        yield World(manager, registry, socket, client)
    finally:
        await stop(work)
        await runner.cleanup()
