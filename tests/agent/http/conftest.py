from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.http.host_events import HostEvents
from agent.http.host_routes import routes
from agent.http.system_info import engine_info, version_info
from agent.lifecycle.health import Health
from agent.runtime.images.image_store import ImageStore
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.local_volumes import Volumes
from api.http.app import answer, make_app
from api.http.event_stream import stream
from api.service.ports import PortConfig
from kit import process
from kit.timing import Clock, wall_clock
from tests.agent.runtime.hosts import runtime_at


class OneNetwork:
    """Each sandbox has one address."""

    def addresses(self, id: str) -> Mapping[str, str]:
        return {"n1": "10.0.1.7/24"}

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        return (PortConfig(target_port=80, published_port=8080, publish_mode="host"),)


@dataclass
class Context:
    """A host that is only a runtime."""

    runtime: OciRuntime
    data_root: str
    networks: Any = OneNetwork()  # noqa: RUF009
    node_id: str = "node1"
    hostname: str = "host1"
    clock: Clock = wall_clock
    healths: dict[str, Health] = field(default_factory=dict)

    @property
    def images(self) -> ImageStore:
        return self.runtime.image_store

    @property
    def volumes(self) -> Volumes:
        return self.runtime.volumes

    def health(self, task_id: str) -> Health:
        return self.healths.get(task_id, Health())

    def network_name(self, id: str) -> str:
        return {"n1": "front"}.get(id, id)


Docker = Callable[..., Awaitable[process.Result]]


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="argosy-http-") as directory:
        yield Path(directory)


@pytest.fixture
async def runtime(root: Path) -> AsyncIterator[OciRuntime]:
    async with runtime_at(root) as runtime:
        yield runtime


@pytest.fixture
def context(root: Path, runtime: OciRuntime) -> Context:
    return Context(runtime, str(root / "data"))


@pytest.fixture
async def socket(root: Path, context: Context) -> AsyncIterator[Path]:

    async def ping(request: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": "1.50", "Ostype": "linux"})

    async def info(request: web.Request) -> web.Response:
        return answer(await engine_info(context))

    async def version(request: web.Request) -> web.Response:
        return answer(version_info())

    async def events(request: web.Request) -> web.StreamResponse:
        return await stream(request, [HostEvents(context.runtime.journal)], wall_clock)

    extra = [web.get(f"/{serve.__name__}", serve) for serve in (info, version, events)]
    extra.append(web.get("/_ping", ping))
    runner = web.AppRunner(make_app([*extra, *routes(lambda: context)]))
    await runner.setup()
    path = root / "docker.sock"
    await web.UnixSite(runner, str(path)).start()
    yield path
    await runner.cleanup()


@pytest.fixture
def docker(socket: Path, root: Path) -> Docker:
    """Run the docker command line against the host; `fails` None: however it ends."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker client on this machine")

    async def run(*arguments: str, fails: bool | None = False, timeout: float = 60, **options: Any) -> process.Result:
        env = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(root / "client")}
        async with asyncio.timeout(timeout):
            result = await process.run("docker", *arguments, env=env, **options)
        assert fails is None or result.ok is not fails, (arguments, result)
        return result

    return run
