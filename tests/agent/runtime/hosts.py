"""A real runtime in a temporary directory, for tests; it leaves nothing behind."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.runtime.images.peer_source import PeerSource
from agent.runtime.interface import Container, ContainerPlan, Image, container_id
from agent.runtime.oci.container_defaults import ContainerDefaults
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import ContainerSpec
from api.service.service_spec import TaskSpec
from kit import cgroups
from kit.timing import wall_clock
from tests.images import docker_archive

CGROUP_PARENT = f"/argosy-runtime-test-{os.getpid()}"
"""Of this run alone: the last of another one would take it away."""


async def chunks(path: Path, size: int = 1 << 16) -> AsyncIterator[bytes]:
    """A file as a stream."""
    with path.open("rb") as file:
        while data := file.read(size):
            yield data


def make_runtime(root: Path, peers: PeerSource | None = None, usual: ContainerDefaults | None = None) -> OciRuntime:
    """A runtime below `root`; making another one on the same root is what a restarted agent does."""
    return OciRuntime(
        root / "data", root / "exec", peers, wall_clock, rng=random.Random(1), cgroup_parent=CGROUP_PARENT, usual=usual
    )


@asynccontextmanager
async def runtime_at(
    root: Path, peers: PeerSource | None = None, usual: ContainerDefaults | None = None
) -> AsyncIterator[OciRuntime]:
    """A runtime whose containers are removed at the end."""
    runtime = make_runtime(root, peers, usual)
    try:
        yield runtime
    finally:
        await clear(make_runtime(root))


async def clear(runtime: OciRuntime) -> None:
    """Remove all containers and the cgroups they were in."""
    for container in await runtime.containers():
        await runtime.remove(container.id)
    cgroups.remove(f"{CGROUP_PARENT.strip('/')}/monitors")
    for path in Path("/sys/fs/cgroup").glob(f"*{CGROUP_PARENT}"):
        try:
            os.rmdir(path)
        except OSError:
            pass  # another test's container is in it


async def load(
    runtime: OciRuntime, directory: Path, name: str = "demo:1", config: dict[str, Any] | None = None
) -> Image:
    """Have a busybox image."""
    path = directory / "image.tar"
    docker_archive(path, [name], config=config)
    await runtime.image_store.load(chunks(path))
    return runtime.image_store.get(name)


def plan(image: Image, name: str, *command: str, task: TaskSpec | None = None, **spec: Any) -> ContainerPlan:
    """A container of the image, in the host's network."""
    container = ContainerSpec(image=image.names[0], command=list(command), **spec)
    labels = {"com.docker.swarm.task.id": name}
    whole = TaskSpec(
        container_spec=container,
        resources=task.resources if task else None,
        log_driver=task.log_driver if task else None,
    )
    return ContainerPlan(container_id(name), name, name, image, whole, labels, hostname=f"{name}-host", netns="")


async def run(runtime: OciRuntime, wanted: ContainerPlan) -> str:
    """Make and start it; its id."""
    await runtime.create(wanted)
    await runtime.start(wanted.id)
    return wanted.id


async def output(runtime: OciRuntime, wanted: ContainerPlan) -> tuple[int, str]:
    """Run it to its end: exit code and what it wrote to stdout."""
    id = await run(runtime, wanted)
    ended = await runtime.wait(id)
    return ended.code, await text(runtime, id)


async def text(runtime: OciRuntime, id: str, stdout: bool = True, stderr: bool = False) -> str:
    """What a container has written."""
    lines = runtime.logs(id, follow=False, since=0.0, tail=-1, stdout=stdout, stderr=stderr)
    return b"".join([line.text async for batch in lines for line in batch]).decode()


def only(containers: Sequence[Container]) -> Container:
    """The one that there is."""
    (container,) = containers
    return container
