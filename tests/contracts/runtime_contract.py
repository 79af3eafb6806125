"""What every runtime promises: one suite, run on the real one and on the fake that the agent's tests use.

A subclass brings a fixture `subject`: a runtime that has the image "docker.io/library/demo:1", and how to have one of
its containers end by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from agent.runtime.interface import ContainerPlan, ImageMissing, Runtime, container_id
from api.errors import NotFound
from api.service.container import ContainerSpec
from api.service.service_spec import TaskSpec

IMAGE = "docker.io/library/demo:1"
PATIENCE = 30.0


@dataclass(frozen=True)
class Subject:
    """A runtime under test."""

    runtime: Runtime
    end: Callable[[str, int], Awaitable[None]]
    """Let a running container end with a code."""


class RuntimeContract:
    """The suite."""

    async def plan(self, runtime: Runtime, name: str) -> ContainerPlan:
        """A container that runs until it is told to end: it takes its exit code from the file /code."""
        image = await runtime.image(IMAGE, [])
        command = ["sh", "-c", "trap 'exit 143' TERM; until [ -e /code ]; do sleep 0.05; done; exit $(cat /code)"]
        spec = TaskSpec(container_spec=ContainerSpec(image=IMAGE, command=command))
        return ContainerPlan(container_id(name), name, name, image, spec, {"a": "b"}, hostname=name, netns="")

    async def test_a_container_is_made_then_started_then_ends(self, subject: Subject) -> None:
        runtime = subject.runtime
        wanted = await self.plan(runtime, "t1")
        await runtime.create(wanted)
        (made,) = await runtime.containers()
        assert (made.id, made.name, made.task_id, made.image) == (wanted.id, "t1", "t1", IMAGE)
        assert (made.started, made.exit, made.labels) == (0.0, None, {"a": "b"})
        assert made.image_id == wanted.image.id

        pid = await runtime.start(wanted.id)

        (running,) = await runtime.containers()
        assert (running.pid, running.exit) == (pid, None)
        assert running.started > 0
        await subject.end(wanted.id, 7)
        async with asyncio.timeout(PATIENCE):
            ended = await runtime.wait(wanted.id)
        assert (ended.code, ended.oom) == (7, False)
        (kept,) = await runtime.containers()
        assert kept.exit == ended

    async def test_creating_again_changes_nothing(self, subject: Subject) -> None:
        wanted = await self.plan(subject.runtime, "t1")
        await subject.runtime.create(wanted)
        before = await subject.runtime.containers()

        await subject.runtime.create(wanted)

        assert await subject.runtime.containers() == before

    async def test_waiting_begins_before_the_end_or_after_it(self, subject: Subject) -> None:
        wanted = await self.plan(subject.runtime, "t1")
        await subject.runtime.create(wanted)
        await subject.runtime.start(wanted.id)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            early = group.create_task(subject.runtime.wait(wanted.id))
            await asyncio.sleep(0)
            await subject.end(wanted.id, 3)

        assert early.result().code == 3
        assert await subject.runtime.wait(wanted.id) == early.result()

    async def test_stopping_returns_once_it_has_ended(self, subject: Subject) -> None:
        wanted = await self.plan(subject.runtime, "t1")
        await subject.runtime.create(wanted)
        await subject.runtime.start(wanted.id)

        await subject.runtime.stop(wanted.id, "", PATIENCE)

        (ended,) = await subject.runtime.containers()
        assert ended.exit is not None
        assert ended.exit.code in (143, 137)
        await subject.runtime.stop(wanted.id, "", PATIENCE)

    async def test_removing_ends_it_and_can_be_repeated(self, subject: Subject) -> None:
        wanted = await self.plan(subject.runtime, "t1")
        await subject.runtime.create(wanted)
        await subject.runtime.start(wanted.id)

        await subject.runtime.remove(wanted.id)
        await subject.runtime.remove(wanted.id)

        assert await subject.runtime.containers() == []
        with pytest.raises(NotFound):
            await subject.runtime.stop(wanted.id, "", 0.0)

    async def test_an_image_is_here_or_missing_with_a_reason(self, subject: Subject) -> None:
        assert IMAGE in (await subject.runtime.image(IMAGE, [])).names
        assert [image.names for image in await subject.runtime.images()] == [(IMAGE,)]
        with pytest.raises(ImageMissing, match="not"):
            await subject.runtime.image("127.0.0.1:1/none:1", [])

    async def test_an_image_is_exported_or_not_found(self, subject: Subject) -> None:
        image = await subject.runtime.image(IMAGE, [])
        assert [chunk async for chunk in subject.runtime.export(image.id)]
        with pytest.raises(NotFound):
            [chunk async for chunk in subject.runtime.export("sha256:" + "0" * 64)]
